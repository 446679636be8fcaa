"""A steady load of signed operations, and the verdict on what became of each one that was accepted."""

import contextlib
import dataclasses
import datetime
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence

import urllib3
from django import db as django_db

from contracts.bindings import accounts, events, paymaster, tokens, words
from customers import models as customer_models
from openvpp.core import clock, db, errors
from relayer import operations
from relayer.adapters import deployer
from relayer.domain import wire
from relayer.usecases import make_api_key, provision_chain, refill
from tests import chain_fixture, first_operations
from tests.drills import ground as grounds

TREASURY = bytes.fromhex("7e" * 20)
UNITS = 1_000
PER_SECOND = 12
LIFETIME = datetime.timedelta(minutes=30)
USER_OPERATION_EVENT = events.topic_of("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)")
ACCEPTED_WITHIN_S = 60.0
_ETHER = 10**18
# Internal error, and a node or database that is away: whoever sends an operation tries again.
_PASSING = {-32603, -32000}
_OVER = ("succeeded", "failed")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a drill showed."""

    operations: int
    lost: int
    doubled: int
    gaps: int
    books: str
    problems: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return (self.lost, self.doubled, self.gaps, self.books) == (0, 0, 0, "equal")


@dataclasses.dataclass(frozen=True)
class _Before:
    block: int
    treasury_units: int
    deposit_wei: int
    nonces: dict[str, int]


class Town:
    """The utility whose operations these are, and how they come in: half by the door, half from our own apps."""

    def __init__(self, ground: grounds.Ground) -> None:
        self.ground = ground
        self.utility = customer_models.Utility.objects.create(
            pk=chain_fixture.UTILITY_ID,
            slug="drills",
            name="Drills",
            chain_id=ground.chain.chain_id,
            treasury_address=words.checksummed(TREASURY),
        )
        key_file = ground.directory / "deployer"
        key_file.write_text(chain_fixture.DEPLOYER.secret.hex())
        self.owner = deployer.load(path=str(key_file), chain_id=ground.chain.chain_id)
        self._provision()
        _, self._token = make_api_key.make(
            utility_id=self.utility.pk,
            application="Drills",
            scopes=["operations:send", "operations:read"],
            now=clock.get_now(),
            requests_per_minute=10**6,
            operations_per_day=10**6,
        )
        self._pool = urllib3.PoolManager(retries=False)
        self._ready: list[first_operations.Signed] = []
        self._next_refill = 0.0

    def prepare(self, count: int) -> None:
        """Sign `count` operations and give their accounts what they pay; the chain must mine at once."""
        self._ready += [self._sign() for _ in range(count)]
        for each in self._ready[-count:]:
            self.ground.chain.give(each.operation.sender, UNITS)

    def keys(self) -> list[str]:
        """Return the addresses of the relayer keys."""
        found = self.ground.rows("SELECT address FROM relayer_relayerkey ORDER BY id")
        return [words.checksummed(bytes(row[0])) for row in found]  # type: ignore[call-overload] # bytea

    def begin(self) -> _Before:
        chain = self.ground.chain
        deposit = words.read_uint(chain.call(chain.deployment.paymaster, paymaster.encode_get_deposit()), 0)
        return _Before(
            block=self.head(),
            treasury_units=chain.balance(chain.deployment.stablecoin, TREASURY),
            deposit_wei=deposit,
            nonces={key: self.nonce(key) for key in self.keys()},
        )

    def head(self) -> int:
        return int(str(self.ground.chain.rpc("eth_blockNumber")), 16)

    def nonce(self, address: str, tag: str = "latest") -> int:
        return int(str(self.ground.chain.rpc("eth_getTransactionCount", address, tag)), 16)

    def take(self, count: int) -> list[first_operations.Signed]:
        """Return operations that nobody has seen yet."""
        taken, self._ready = self._ready[:count], self._ready[count:]
        assert len(taken) == count
        return taken

    def submit(self, made: first_operations.Signed, *, by_door: bool) -> None:
        """Put an operation into the pool, again until it is accepted; the same operation twice is once."""
        deadline = time.monotonic() + ACCEPTED_WITHIN_S
        while not (self._send(made) if by_door else self._queue(made)):
            if time.monotonic() > deadline:
                message = f"{made.hash} was not accepted"
                raise RuntimeError(message)
            time.sleep(0.2)

    def submit_all(self, made: Sequence[first_operations.Signed], *, per_second: float = 40) -> None:
        """Submit one after another, in the given rhythm at most."""
        started = time.monotonic()
        for number, each in enumerate(made):
            time.sleep(max(0.0, started + number / per_second - time.monotonic()))
            self.submit(each, by_door=number % 2 == 0)

    def start(self, made: Sequence[first_operations.Signed], *, per_second: float = PER_SECOND) -> threading.Thread:
        """Submit in a thread of its own."""

        def work() -> None:
            try:
                self.submit_all(made, per_second=per_second)
            finally:
                django_db.connections.close_all()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def refill(self) -> None:
        """Do what beat does every fifteen seconds, every second."""
        if time.monotonic() < self._next_refill:
            return
        self._next_refill = time.monotonic() + 1
        with contextlib.suppress(errors.Unreachable):
            refill.refill(chain_id=self.ground.chain.chain_id, now=clock.get_now())

    def states(self, made: Sequence[first_operations.Signed]) -> Counter[str]:
        query = "SELECT state, count(*) FROM relayer_useroperation WHERE hash = ANY(%s) GROUP BY state"
        return Counter({str(state): int(str(n)) for state, n in self.ground.rows(query, _binary(made))})

    def is_over(self, made: Sequence[first_operations.Signed]) -> bool:
        found = self.states(made)
        return sum(found[state] for state in _OVER) == len(made)

    def judge(
        self,
        made: Sequence[first_operations.Signed],
        *,
        before: _Before,
        expected_failures: frozenset[str] = frozenset(),
    ) -> Verdict:
        """Count what was lost and what ran twice, look for gaps in the nonces, and compare rows and balances."""
        executed, paid, gas_wei = self._executed(before)
        problems: list[str] = []
        rows = self._rows_of(made)
        lost = doubled = 0
        for each in made:
            state, gas_cost, failure = rows.get(each.hash, ("unknown", None, ""))
            times = executed[each.hash]
            doubled += times > 1
            wanted = ("failed", 0) if each.hash in expected_failures else ("succeeded", 1)
            if (state, min(times, 1)) != wanted:
                lost += 1
                problems.append(f"{each.hash}: {state}, {times} on the chain {failure}")
            elif times and gas_cost != gas_wei[each.hash]:
                problems.append(f"{each.hash}: gas {gas_cost} booked, {gas_wei[each.hash]} on the chain")
        books = self._compare(before=before, paid=paid, gas_wei=sum(gas_wei.values()), problems=problems)
        told = self._wrongly_told(made)
        problems += told
        return Verdict(
            operations=len(made),
            lost=lost,
            doubled=doubled,
            gaps=self._gaps(problems),
            books="equal" if books and not told else "differ",
            problems=tuple(problems[:8]),
        )

    def _executed(self, before: _Before) -> tuple[Counter[str], int, dict[str, int]]:
        query = {
            "address": words.checksummed(self.ground.chain.deployment.entry_point),
            "topics": ["0x" + USER_OPERATION_EVENT.hex()],
            "fromBlock": hex(before.block + 1),
        }
        logs = self.ground.chain.rpc("eth_getLogs", query)
        assert isinstance(logs, list)
        executed: Counter[str] = Counter()
        gas_wei: dict[str, int] = {}
        paid = 0
        for log in logs:
            hash_, data = str(log["topics"][1]), bytes.fromhex(str(log["data"])[2:])
            executed[hash_] += 1
            gas_wei[hash_] = words.read_uint(data, 64)
            paid += words.read_uint(data, 32)
        return executed, paid, gas_wei

    def _compare(self, *, before: _Before, paid: int, gas_wei: int, problems: list[str]) -> bool:
        chain = self.ground.chain
        units = chain.balance(chain.deployment.stablecoin, TREASURY) - before.treasury_units
        deposit = words.read_uint(chain.call(chain.deployment.paymaster, paymaster.encode_get_deposit()), 0)
        good = True
        if units != UNITS * paid:
            problems.append(f"treasury got {units} units, {UNITS * paid} were paid")
            good = False
        if before.deposit_wei - deposit != gas_wei:
            problems.append(f"deposit fell by {before.deposit_wei - deposit} wei, events say {gas_wei}")
            good = False
        return good and not any("booked" in each for each in problems)

    def _wrongly_told(self, made: Sequence[first_operations.Signed]) -> list[str]:
        """Return our own operations whose end is not told exactly once."""
        query = (
            "SELECT o.hash, count(n.id) FROM relayer_useroperation o LEFT JOIN relayer_operationnews n "
            "ON n.user_operation_id = o.hash AND n.state = o.state WHERE o.api_key_id IS NULL AND o.hash = ANY(%s) "
            "GROUP BY o.hash HAVING count(n.id) <> 1"
        )
        return [f"0x{bytes(row[0]).hex()}: told {row[1]} times" for row in self.ground.rows(query, _binary(made))]  # type: ignore[call-overload] # bytea

    def _gaps(self, problems: list[str]) -> int:
        gaps = 0
        for key in self.keys():
            mined, known = self.nonce(key), self.nonce(key, "pending")
            if mined != known:
                problems.append(f"key {key}: {mined} mined, {known} pending")
                gaps += 1
        query = "SELECT id, nonce, state FROM relayer_bundle WHERE state IN ('pending', 'mined')"
        waiting = self.ground.rows(query)
        problems += [f"bundle {row} waits" for row in waiting]
        return gaps + len(waiting)

    def _rows_of(self, made: Sequence[first_operations.Signed]) -> dict[str, tuple[str, int | None, str]]:
        query = "SELECT hash, state, gas_cost_wei, failure FROM relayer_useroperation WHERE hash = ANY(%s)"
        return {
            "0x" + bytes(hash_).hex(): (str(state), None if gas is None else int(str(gas)), str(failure))  # type: ignore[call-overload] # bytea
            for hash_, state, gas, failure in self.ground.rows(query, _binary(made))
        }

    def _provision(self) -> None:
        provision = provision_chain.Provision(
            relayer_keys=2,
            relayer_wei=100 * _ETHER,
            deposit_wei=100 * _ETHER,
            budget_wei=90 * _ETHER,
            limit_per_day_wei=90 * _ETHER,
        )
        deadline = time.monotonic() + ACCEPTED_WITHIN_S
        while True:
            try:
                provision_chain.provision_chain(
                    utility_id=self.utility.pk,
                    chain_id=self.ground.chain.chain_id,
                    owner=self.owner,
                    provision=provision,
                )
            except errors.Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def _sign(self) -> first_operations.Signed:
        """Return an operation that pays `UNITS` from an account of its own."""
        transfer = accounts.Call(
            to=self.ground.chain.deployment.stablecoin,
            value_wei=0,
            data=tokens.encode_transfer(to=TREASURY, amount_units=UNITS),
        )
        return first_operations.sign(
            chain=self.ground.chain,
            utility_id=self.utility.pk,
            call_data=accounts.encode_execute_batch(calls=[transfer]),
            call_gas_limit=100_000,
            max_fee_per_gas=20 * 10**9,
            valid_until=int((clock.get_now() + LIFETIME).timestamp()),
        )

    def _send(self, made: first_operations.Signed) -> bool:
        chain = self.ground.chain
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_sendUserOperation",
            "params": [wire.write_operation(made.operation), words.checksummed(chain.deployment.entry_point)],
        }
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        url = f"{self.ground.door_url}/rpc/v1/{chain.chain_id}"
        try:
            answer = self._pool.request("POST", url, body=json.dumps(body), headers=headers, timeout=30)
            found = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return False
        if found.get("result") == made.hash:
            return True
        refusal = found.get("error", {})
        if int(refusal.get("code", 0)) in _PASSING or "maxFeePerGas must be at least" in refusal.get("message", ""):
            return False
        message = f"{made.hash} was refused: {found}"
        raise RuntimeError(message)

    def _queue(self, made: first_operations.Signed) -> bool:
        now = clock.get_now()
        try:
            with db.transaction():
                operations.queue(
                    operation=made.operation,
                    quote=None,
                    utility_id=self.utility.pk,
                    chain_id=self.ground.chain.chain_id,
                    expires_at=now + LIFETIME - datetime.timedelta(minutes=1),
                    now=now,
                )
        except django_db.Error:
            django_db.close_old_connections()
            return False
        return True


def _binary(made: Sequence[first_operations.Signed]) -> list[bytes]:
    return [bytes.fromhex(each.hash[2:]) for each in made]
