"""A chain that goes back, grows dear, or takes what is not ours."""

import time
from collections.abc import Callable

from contracts.bindings import words
from tests.drills import field as fields
from tests.drills import proxy


def reorganisations(field: fields.Field) -> None:
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
    fields.met(stepped > 0)
    field.note = f"{stepped} steps back"


def fee_spike(field: fields.Field) -> None:
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
    fields.met(max(fees) > cap)
    assert dearest <= cap, f"{dearest} wei were offered over the cap"
    field.note = f"up to {max(fees) / 1e9:.0f} gwei, {dearest / 1e9:.3f} offered at most"


def stolen_nonce(field: fields.Field) -> None:
    """Somebody else uses the nonce of a bundle that is under way."""
    chain = field.ground.chain
    stolen: list[str] = []

    def on_send(request: proxy.Request, forward: Callable[[], proxy.Answer]) -> proxy.Answer:
        if len(stolen) < 2:
            key = _sender_of(field, str(request["params"][0]))
            before = field.town.nonce(key)
            asked = {"from": key, "to": key, "value": "0x1", "gas": hex(21_000), "nonce": hex(before)}
            stolen.append(str(chain.rpc("eth_sendTransaction", asked)))
            fields.wait_for(lambda: field.town.nonce(key) > before)
        return forward()

    field.ground.first.on_send = on_send
    with field.relays():
        field.play()
    lost = field.ground.rows("SELECT count(*) FROM relayer_bundle WHERE state = 'lost' AND id > %s", field.first_bundle)
    fields.met(len(stolen) == 2)
    field.note = f"{len(stolen)} nonces, {lost[0][0]} bundles lost theirs"


def nonce_taken_back(field: fields.Field) -> None:
    """Somebody else uses a nonce, and a reorganisation takes that back: a gap before ours."""
    chain = field.ground.chain
    with field.relays(CHAIN_CONFIRMATIONS="6"):
        loading = field.town.start(field.made)
        addresses = field.town.keys()
        for _ in range(2):
            fields.wait_for(
                lambda: field.ground.rows("SELECT count(*) FROM relayer_bundle WHERE state = 'pending'") == [(0,)]
            )
            for key in addresses:
                asked = {"from": key, "to": key, "value": "0x1", "gas": hex(21_000)}
                chain.rpc("eth_sendTransaction", asked)
            block = field.town.head()
            fields.wait_for(lambda block=block: field.town.head() >= block + 3)  # type: ignore[misc] # bound now
            chain.rpc("anvil_reorg", 4, [])
            field.wait_for_block()
        loading.join()
        field.finish()
    filled = field.ground.rows(
        "SELECT count(*) FROM relayer_bundle b WHERE id > %s AND NOT EXISTS "
        "(SELECT 1 FROM relayer_useroperation o WHERE o.bundle_id = b.id) AND state = 'final'",
        field.first_bundle,
    )
    fields.met(filled[0][0] != 0)
    field.note = f"{filled[0][0]} nonces used for nothing"


def empty_key(field: fields.Field) -> None:
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
    fields.met(others[0][0] != 0)
    refills = field.ground.rows(
        "SELECT count(*) FROM relayer_refill WHERE state = 'done' AND lower(receiver) = %s", first.lower()
    )
    fields.met(refills[0][0] != 0)
    field.note = f"{others[0][0]} bundles by the other, {refills[0][0]} refill"


def poisoned(field: fields.Field) -> None:
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


def _sender_of(field: fields.Field, raw: str) -> str:
    hash_ = words.keccak(bytes.fromhex(raw[2:]))
    query = (
        "SELECT k.address FROM relayer_bundletransaction t JOIN relayer_bundle b ON b.id = t.bundle_id "
        "JOIN relayer_relayerkey k ON k.id = b.relayer_key_id WHERE t.hash = %s"
    )
    ((address,),) = field.ground.rows(query, hash_)
    return _text(address)


def _text(address: object) -> str:
    return words.checksummed(bytes(address)) if isinstance(address, (bytes, memoryview)) else str(address)
