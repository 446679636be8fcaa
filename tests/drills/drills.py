"""The drills: each breaks one thing under a steady load, and says what became of every operation."""

import contextlib
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from contracts.bindings import user_operations, words
from tests.drills import ground as grounds
from tests.drills import load, proxy

# These are the faults themselves: how long each is away.
REDIS_GONE_S = 60
POSTGRES_GONE_S = 1
OPERATIONS = 60
FINISHED_WITHIN_S = 60.0
_HANDLE_OPS = "0x" + user_operations.encode_handle_ops(operations=[], beneficiary=bytes(20))[:4].hex()
_LOOK_S = 0.02


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a drill showed, and how long it took."""

    name: str
    verdict: load.Verdict
    seconds: float
    note: str = ""


@dataclasses.dataclass
class Field:
    """One drill under way: the ground, its operations, its relays."""

    town: load.Town
    made: list[load.Signed]
    before: Any
    note: str = ""
    expected_failures: frozenset[str] = frozenset()
    first_bundle: int = 0

    @property
    def ground(self) -> grounds.Ground:
        return self.town.ground

    @contextlib.contextmanager
    def relays(self, count: int = 1, **settings: str) -> Iterator[list[grounds.Running]]:
        """Start relays; end them, and whatever stands between them and the world, afterwards."""
        running = [self.ground.relay(number, **settings) for number in range(1, count + 1)]
        try:
            for each in running:
                each.start()
            yield running
        finally:
            self.ground.heal()
            for each in running:
                each.stop()

    def finish(self, *, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait until each operation is final and each bundle is, doing something at each look."""
        open_ = "SELECT count(*) FROM relayer_bundle WHERE state IN ('pending', 'mined')"

        def is_over() -> bool:
            meanwhile()
            return self.town.is_over(self.made) and self.ground.rows(open_) == [(0,)]

        wait_for(is_over, quietly=True)

    def newest_bundle(self) -> int:
        """Return the id of the newest bundle of all."""
        return int(str(self.ground.rows("SELECT coalesce(max(id), 0) FROM relayer_bundle")[0][0]))

    def wait_for_bundle(self, condition: str = "true", *, newer_than: int | None = None) -> None:
        """Wait until there is a bundle of this drill, in that condition."""
        since = self.first_bundle if newer_than is None else newer_than
        query = f"SELECT 1 FROM relayer_bundle WHERE id > %s AND {condition}"
        wait_for(lambda: self.ground.rows(query, since))

    def wait_for_block(self) -> None:
        """Wait until the chain is a block further."""
        head = self.town.head()
        wait_for(lambda: self.town.head() > head)


def wait_for[T](look: Callable[[], T], *, within_s: float = FINISHED_WITHIN_S, quietly: bool = False) -> T | None:
    """Look until there is something; processes of others tell nobody."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > deadline:
            if quietly:
                return None
            message = f"nothing after {within_s:.0f} seconds"
            raise RuntimeError(message)
        time.sleep(_LOOK_S)
    return found


def met(is_so: bool) -> None:
    """Refuse to count a drill whose fault nobody met."""
    assert is_so, "the fault was not met: the drill shows nothing"


def kill_after_claim(field: Field) -> None:
    """`kill -9` once operations are claimed, before anything is signed."""
    _kill_at_call(field, lambda request: request["method"] == "eth_call" and _HANDLE_OPS in str(request["params"]))


def kill_after_sign(field: Field) -> None:
    """`kill -9` once a bundle is signed, before it is written down."""
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)

        def after(body: bytes, answer: bytes) -> bytes:
            if b"transaction" in body and kill():
                raise proxy.HangUp
            return answer

        field.ground.signing.after = after
        _play(field)
        kill.expect()
        field.note = f"killed {kill.count} times"


def kill_before_send(field: Field) -> None:
    """`kill -9` once a bundle is written down, before it is sent."""

    def on_send(kill: _Kills, forward: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        return None if kill() else forward()

    _kill_at_send(field, on_send)


def kill_after_send(field: Field) -> None:
    """`kill -9` once a bundle is sent, before that is recorded."""

    def on_send(kill: _Kills, forward: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        answer = forward()
        return None if kill() else answer

    _kill_at_send(field, on_send)


def kill_while_settling(field: Field) -> None:
    """`kill -9` while receipts are recorded and settled."""
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)
        loading = field.town.start(field.made)
        due = (
            "SELECT id FROM relayer_bundle WHERE state = 'mined' AND block_number + %s <= %s "
            "AND NOT id = ANY(%s) ORDER BY id"
        )
        seen: list[object] = []
        while kill.left and not field.town.is_over(field.made):
            head = field.town.head()
            found = field.ground.rows(due, grounds.CONFIRMATIONS, head, seen)
            if found:
                seen.append(found[0][0])
                time.sleep(random.uniform(0, 0.03))
                kill()
            time.sleep(_LOOK_S)
        loading.join()
        field.finish()
        kill.expect()
        field.note = f"killed {kill.count} times"


def two_relays(field: Field) -> None:
    """Two relays at once, each killed once."""
    with field.relays(2) as relays:
        loading = field.town.start(field.made)
        for relay in relays:
            field.wait_for_bundle(newer_than=field.newest_bundle())
            relay.kill()
            relay.start()
        loading.join()
        field.finish()


def dropped_transaction(field: Field) -> None:
    """The node takes each bundle's transaction and forgets it, twice."""
    seen: dict[str, int] = {}

    def on_send(request: proxy.Request, forward: Callable[[], proxy.Answer]) -> proxy.Answer:
        raw = str(request["params"][0])
        seen[raw] = seen.get(raw, 0) + 1
        if seen[raw] <= 2:
            return _taken(request, raw)
        return forward()

    field.ground.first.on_send = on_send
    with field.relays():
        _play(field)
    met(max(seen.values(), default=0) > 2)
    field.note = f"{len(seen)} transactions"


def sent_with_an_error(field: Field) -> None:
    """The node takes a transaction and answers with an error, or twice, or not at all."""
    kinds = 3
    count = 0

    def on_send(request: proxy.Request, forward: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        nonlocal count
        count += 1
        answer = forward()
        if count % kinds == 0:
            return None
        if count % kinds == 1:
            refusal = {"code": -32000, "message": "internal error"}
            return {"jsonrpc": "2.0", "id": request["id"], "error": refusal}
        forward()
        return answer

    field.ground.first.on_send = on_send
    with field.relays():
        _play(field)
    met(count >= kinds)
    field.note = f"{count} times"


def reorganisations(field: Field) -> None:
    """Reorganisations of depth 1, 2, 3, 4 and 5, what they held dropped."""
    query = "SELECT count(*) FROM relayer_useroperationtransition WHERE detail LIKE '%%left the chain%%'"
    before = int(str(field.ground.rows(query)[0][0]))
    with field.relays(CHAIN_CONFIRMATIONS="6"):
        loading = field.town.start(field.made)
        for depth in (1, 2, 3, 4, 5):
            field.wait_for_bundle("state = 'mined'")
            field.ground.chain.rpc("anvil_reorg", depth, [])
            field.wait_for_block()
        loading.join()
        field.finish()
    stepped = int(str(field.ground.rows(query)[0][0])) - before
    met(stepped > 0)
    field.note = f"{stepped} steps back"


def fee_spike(field: Field) -> None:
    """The base fee jumps over the cap and comes back."""
    cap, spike = 10 * 10**9, 200 * 10**9
    chain = field.ground.chain
    with field.relays(CHAIN_MOST_FEE_WEI=str(cap)):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        ends = time.monotonic() + 6
        before = field.town.head()
        while time.monotonic() < ends:
            chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(spike))
            time.sleep(0.2)
        chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
        loading.join()
        field.finish()
    after = field.town.head()
    fees = [int(chain.rpc("eth_getBlockByNumber", hex(n), False)["baseFeePerGas"], 16) for n in range(before, after)]  # type: ignore[index] # a node's JSON
    offered = field.ground.rows(
        "SELECT max(max_fee_per_gas_wei) FROM relayer_bundletransaction WHERE bundle_id > %s", field.first_bundle
    )
    dearest = int(str(offered[0][0]))
    met(max(fees) > cap)
    assert dearest <= cap, f"{dearest} wei were offered over the cap"
    field.note = f"up to {max(fees) / 1e9:.0f} gwei, {dearest / 1e9:.3f} offered at most"


def node_times_out(field: Field) -> None:
    """One of two nodes stops answering."""
    with field.relays(CHAIN_RPC_URL=field.ground.both):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        field.ground.first.fault = proxy.time_out
        loading.join()
        field.finish()
        sent = field.ground.second.sent
    met(sent > 0)
    field.note = f"{sent} sent by the other"


def nodes_busy(field: Field) -> None:
    """Both nodes answer 429 in turns, with a time to wait."""
    turn = 0

    def busy(_: Sequence[proxy.Request]) -> None:
        nonlocal turn
        turn += 1
        if turn % 6 == 0:
            raise proxy.Busy(1)

    field.ground.first.fault = field.ground.second.fault = busy
    with field.relays(CHAIN_RPC_URL=field.ground.both):
        _play(field)
    met(turn >= 6)
    field.note = f"{turn // 6} refusals"


def wrong_chain(field: Field) -> None:
    """One of two nodes leads to another chain, then the other one does."""
    ground = field.ground
    ground.first.upstream = ground.other_chain_url
    with field.relays(CHAIN_RPC_URL=ground.both):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        met(ground.second.sent > 0 and ground.first.sent == 0)
        ground.first.heal()
        wait_for(lambda: ground.first.sent)
        ground.second.upstream = ground.other_chain_url
        loading.join()
        field.finish()


def stale_head(field: Field) -> None:
    """The node that is read from stops at a block; the other goes on."""
    ground = field.ground
    with field.relays(CHAIN_RPC_URL=ground.both):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        ground.first.frozen_at = field.town.head()
        sent = ground.second.sent
        loading.join()
        field.finish()
        met(ground.second.sent > sent)


def quorum_differs(field: Field) -> None:
    """Two nodes must agree and one stops at a block for a while: nothing is final until they do."""
    ground = field.ground
    with field.relays(CHAIN_RPC_URL=ground.both, CHAIN_QUORUM="2"):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        ground.second.frozen_at = head = field.town.head()
        wait_for(lambda: field.town.head() > head + grounds.CONFIRMATIONS + 2)
        final = "SELECT count(*) FROM relayer_bundle WHERE state = 'final' AND block_number > %s"
        early = field.ground.rows(final, head - grounds.CONFIRMATIONS)
        ground.second.heal()
        loading.join()
        field.finish()
    assert early == [(0,)], f"{early} bundles became final without a quorum"


def private_node_drops(field: Field) -> None:
    """Bundles go to a private node, which forgets them; after a while they go to all."""
    ground = field.ground
    ground.second.on_send = lambda request, _: _taken(request, str(request["params"][0]))
    with field.relays(CHAIN_PRIVATE_RPC_URL=ground.second.url, CHAIN_PRIVATE_SECONDS="3"):
        loading = field.town.start(field.made)
        loading.join()
        field.finish()
        met(ground.second.sent > 0 and ground.first.sent > 0)
        field.note = f"{ground.second.sent} times to it, {ground.first.sent} to all"


def stolen_nonce(field: Field) -> None:
    """Somebody else uses the nonce of a bundle that is under way."""
    chain = field.ground.chain
    stolen: list[str] = []

    def on_send(request: proxy.Request, forward: Callable[[], proxy.Answer]) -> proxy.Answer:
        if len(stolen) < 2:
            key = _sender_of(field, str(request["params"][0]))
            before = field.town.nonce(key)
            asked = {"from": key, "to": key, "value": "0x1", "gas": hex(21_000), "nonce": hex(before)}
            stolen.append(str(chain.rpc("eth_sendTransaction", asked)))
            wait_for(lambda: field.town.nonce(key) > before)
        return forward()

    field.ground.first.on_send = on_send
    with field.relays():
        _play(field)
    lost = field.ground.rows("SELECT count(*) FROM relayer_bundle WHERE state = 'lost' AND id > %s", field.first_bundle)
    met(len(stolen) == 2)
    field.note = f"{len(stolen)} nonces, {lost[0][0]} bundles lost theirs"


def poisoned(field: Field) -> None:
    """Every tenth operation is refused by the EntryPoint when its bundle is made."""
    field.town.submit_all(field.made, per_second=200)
    bad = frozenset(each.hash for each in field.made[::10])
    query = "UPDATE relayer_useroperation SET signature = %s WHERE hash = ANY(%s) RETURNING 1"
    field.ground.rows(query, b"\x00" + bytes(65), [bytes.fromhex(each[2:]) for each in bad])
    field.expected_failures = bad
    with field.relays(CHAIN_BUNDLE_GAS_LIMIT="8000000"):
        field.finish()
    reasons = field.ground.rows(
        "SELECT DISTINCT left(failure, 60) FROM relayer_useroperation WHERE hash = ANY(%s)",
        [bytes.fromhex(each[2:]) for each in bad],
    )
    field.note = f"{len(bad)} set aside: {reasons[0][0]}"


def empty_key(field: Field) -> None:
    """A relayer key runs out of coin under way; another goes on, and the refill key fills it up."""
    chain = field.ground.chain
    first, *_ = field.town.keys()
    with field.relays():
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        chain.rpc("anvil_setBalance", first, hex(10**12))
        loading.join()
        field.finish(meanwhile=field.town.refill)
    others = field.ground.rows(
        "SELECT count(*) FROM relayer_bundle b JOIN relayer_relayerkey k ON k.id = b.relayer_key_id "
        "WHERE k.address <> %s AND b.id > %s",
        bytes.fromhex(first[2:]),
        field.first_bundle,
    )
    met(others[0][0] != 0)
    refills = field.ground.rows(
        "SELECT count(*) FROM relayer_refill WHERE state = 'done' AND lower(receiver) = %s", first.lower()
    )
    met(refills[0][0] != 0)
    field.note = f"{others[0][0]} bundles by the other, {refills[0][0]} refill"


def nonce_taken_back(field: Field) -> None:
    """Somebody else uses a nonce, and a reorganisation takes that back: a gap before ours."""
    chain = field.ground.chain
    with field.relays(CHAIN_CONFIRMATIONS="6"):
        loading = field.town.start(field.made)
        addresses = field.town.keys()
        for _ in range(2):
            wait_for(lambda: field.ground.rows("SELECT count(*) FROM relayer_bundle WHERE state = 'pending'") == [(0,)])
            for key in addresses:
                asked = {"from": key, "to": key, "value": "0x1", "gas": hex(21_000)}
                chain.rpc("eth_sendTransaction", asked)
            block = field.town.head()
            wait_for(lambda block=block: field.town.head() >= block + 3)  # type: ignore[misc] # bound now
            chain.rpc("anvil_reorg", 4, [])
            field.wait_for_block()
        loading.join()
        field.finish()
    filled = field.ground.rows(
        "SELECT count(*) FROM relayer_bundle b WHERE id > %s AND NOT EXISTS "
        "(SELECT 1 FROM relayer_useroperation o WHERE o.bundle_id = b.id) AND state = 'final'",
        field.first_bundle,
    )
    met(filled[0][0] != 0)
    field.note = f"{filled[0][0]} nonces used for nothing"


def postgres_restart(field: Field) -> None:
    """PostgreSQL is restarted, without warning."""
    ground = field.ground
    with field.relays():
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        ground.postgres.kill()
        time.sleep(POSTGRES_GONE_S)
        ground.postgres.start()
        grounds.wait_for_service(ground.postgres_service)
        loading.join()
        field.finish()


def redis_gone(field: Field) -> None:
    """Redis is gone for a minute."""
    ground = field.ground
    ground.redis.kill()
    try:
        with field.relays():
            loading = field.town.start(field.made)
            time.sleep(REDIS_GONE_S)
            ground.redis.start()
            grounds.wait_for_service(ground.redis_service)
            loading.join()
            field.finish()
    finally:
        if ground.redis.process is None or ground.redis.process.poll() is not None:
            ground.redis.start()


DRILLS: dict[str, Callable[[Field], None]] = {
    each.__name__: each
    for each in (
        kill_after_claim,
        kill_after_sign,
        kill_before_send,
        kill_after_send,
        kill_while_settling,
        two_relays,
        dropped_transaction,
        sent_with_an_error,
        reorganisations,
        fee_spike,
        node_times_out,
        nodes_busy,
        wrong_chain,
        stale_head,
        quorum_differs,
        private_node_drops,
        stolen_nonce,
        poisoned,
        nonce_taken_back,
        empty_key,
        postgres_restart,
        redis_gone,
    )
}


def play(name: str, town: load.Town) -> Outcome:
    """Play one drill and judge it."""
    started = time.monotonic()
    field = Field(town=town, made=town.take(OPERATIONS), before=town.begin())
    field.first_bundle = field.newest_bundle()
    DRILLS[name](field)
    verdict = town.judge(field.made, before=field.before, expected_failures=field.expected_failures)
    return Outcome(name=name, verdict=verdict, seconds=time.monotonic() - started, note=field.note)


class _Kills:
    """Kills a relay when it is called, a few times, and starts it again in the background."""

    def __init__(self, relay: grounds.Running, *, times: int) -> None:
        self.left, self.count = times, 0
        self._relay = relay
        self._lock = threading.Lock()
        self._earliest = 0.0

    def __call__(self) -> bool:
        with self._lock:
            if not self.left or time.monotonic() < self._earliest:
                return False
            self.left, self.count = self.left - 1, self.count + 1
            self._relay.kill()
            self._earliest = time.monotonic() + 0.5
            self._relay.start()
            return True

    def expect(self) -> None:
        assert self.count, "the moment to kill never came"


def _kill_at_call(field: Field, is_moment: Callable[[proxy.Request], bool]) -> None:
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)

        def fault(requests: Sequence[proxy.Request]) -> None:
            if any(is_moment(request) for request in requests) and kill():
                raise proxy.HangUp

        field.ground.first.fault = fault
        _play(field)
        kill.expect()
        field.note = f"killed {kill.count} times"


def _kill_at_send(field: Field, on_send: Callable[[_Kills, Callable[[], proxy.Answer]], proxy.Answer | None]) -> None:
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)
        field.ground.first.on_send = lambda _, forward: on_send(kill, forward)
        _play(field)
        kill.expect()
        field.note = f"killed {kill.count} times"


def _play(field: Field) -> None:
    loading = field.town.start(field.made)
    loading.join()
    field.finish()


def _taken(request: proxy.Request, raw: str) -> proxy.Answer:
    return {"jsonrpc": "2.0", "id": request["id"], "result": "0x" + words.keccak(bytes.fromhex(raw[2:])).hex()}


def _sender_of(field: Field, raw: str) -> str:
    hash_ = words.keccak(bytes.fromhex(raw[2:]))
    query = (
        "SELECT k.address FROM relayer_bundletransaction t JOIN relayer_bundle b ON b.id = t.bundle_id "
        "JOIN relayer_relayerkey k ON k.id = b.relayer_key_id WHERE t.hash = %s"
    )
    ((address,),) = field.ground.rows(query, hash_)
    return _text(address)


def _text(address: object) -> str:
    return words.checksummed(bytes(address)) if isinstance(address, (bytes, memoryview)) else str(address)
