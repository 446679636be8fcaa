"""The relayer and Alto (Pimlico's bundler, from npm) under one load, one after the other on one chain.

`python -m benchmarks.relayer [--operations 1000] [--at-once 32] [--rounds 3]`. Each operation is the first of an
account of its own, sponsored and signed, and goes in by `eth_sendUserOperation`; blocks come each second and have room.
Ours are bundler, relay and signer, each a process of its own; PostgreSQL runs without fsync and is reported apart. Neither
traces rules: Alto's safe mode takes nothing on this chain. An operation counts as included when its event is seen in a
block. The last line is `RESULT` and JSON: medians over the rounds, ours divided by Alto's where the name says ratio.
"""

import argparse
import concurrent.futures
import dataclasses
import datetime
import json
import os
import pathlib
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Self

os.environ["OPENVPP_TEST_BLOCK_TIME_S"] = "1"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
import httpx
import psutil
from rich.console import Console

from contracts import deployments
from contracts.bindings import accounts, events, paymaster, user_operations, words
from openvpp.stack import layout
from relayer.domain import wire
from tests import chain_fixture, services_fixture
from tests.chain import bundler as bundlers

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIFETIME = datetime.timedelta(minutes=30)
POLL_S = 0.05
MOST_TOLD = 3
USER_OPERATION_EVENT = events.topic_of("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)")
FINISHED_WITHIN_S = 600


@dataclasses.dataclass(frozen=True)
class Made:
    """A signed operation, ready to be queued."""

    operation: user_operations.UserOperation
    hash: str


@dataclasses.dataclass(frozen=True)
class Used:
    """What the relayer's processes have used so far."""

    cpu_s: float
    rss_mb: float


def make_operations(*, chain: chain_fixture.Chain, count: int, utility_id: int) -> list[Made]:
    """Deploy `count` accounts and sign one sponsored operation of each that ends a session."""
    deployment = chain.deployment
    owners = [chain_fixture.Key(secrets.token_bytes(32)) for _ in range(count)]
    salt = bytes(32)
    valid_until = int(time.time() + LIFETIME.total_seconds())
    made = []
    for owner in owners:
        sender = accounts.account_address(
            factory=deployment.account_factory,
            implementation=deployment.account_implementation,
            owner=owner.address,
            salt=salt,
        )
        operation = user_operations.UserOperation(
            sender=sender,
            nonce=0,
            init_code=accounts.init_code(factory=deployment.account_factory, owner=owner.address, salt=salt),
            call_data=accounts.encode_revoke_sessions(session_ids=[bytes(32)]),
            verification_gas_limit=250_000,
            call_gas_limit=60_000,
            pre_verification_gas=60_000,
            max_priority_fee_per_gas=10**6,
            max_fee_per_gas=3 * 10**9,
        )
        sponsorship = paymaster.Sponsorship(
            paymaster=deployment.paymaster,
            mode=paymaster.FeeMode.UTILITY,
            utility_id=utility_id,
            valid_after=valid_until - paymaster.WINDOW_SECONDS,
            valid_until=valid_until,
            fee_units=0,
            verification_gas_limit=60_000,
            post_op_gas_limit=25_000,
        )
        digest = paymaster.sponsor_digest(operation=operation, sponsorship=sponsorship, chain_id=chain.chain_id)
        operation = paymaster.sponsored(
            operation=operation, sponsorship=sponsorship, sponsor_signature=chain_fixture.SPONSOR.sign(digest)
        )
        hash_ = user_operations.hash_user_operation(
            operation=operation, chain_id=chain.chain_id, entry_point=deployment.entry_point
        )
        signature = b"\x00" + words.signature(owner.sign(hash_))
        made.append(Made(dataclasses.replace(operation, signature=signature), "0x" + hash_.hex()))
    return made


def run(*, count: int, at_once: int, rounds: int, console: Console) -> dict[str, object]:
    """Measure both, `rounds` times."""
    services_fixture.start()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="openvpp-bench-"))
    with _node(directory) as chain:
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        _configure(directory=directory, chain=chain)
        from django.core import management  # noqa: PLC0415 - after the environment is set

        django.setup()
        management.call_command("migrate", verbosity=0)
        with _processes(directory) as processes, bundlers.running(chain, directory) as alto:
            utility_id = _provision(directory=directory, chain=chain)
            ours = _Target(
                name="ours",
                url=f"{processes.url}/rpc/v1/{chain.chain_id}",
                headers={"Authorization": f"Bearer {_token(utility_id)}"},
                processes=list(processes),
            )
            peer = _Target(name="Alto", url=alto.url, headers={}, processes=_alto_processes())
            found: dict[str, list[Load]] = {"ours": [], "Alto": []}
            for number in range(rounds):
                for target in (ours, peer) if number % 2 == 0 else (peer, ours):
                    made = make_operations(chain=chain, count=count, utility_id=utility_id)
                    load = _measure(chain=chain, target=target, made=made, at_once=at_once)
                    console.print(f"{target.name}: {load}")
                    found[target.name].append(load)
            return _result(ours=found["ours"], peer=found["Alto"], postgres=_postgres_cpu_s())


@dataclasses.dataclass(frozen=True)
class Load:
    """What one load showed; latencies are 99th percentiles."""

    accepted_per_s: float
    included_per_s: float
    ack_p99_s: float
    inclusion_p99_s: float
    cpu_s_per_1000: float
    rss_mb: float
    refused: int


@dataclasses.dataclass(frozen=True)
class _Target:
    name: str
    url: str
    headers: dict[str, str]
    processes: list[psutil.Process]


def _measure(*, chain: chain_fixture.Chain, target: _Target, made: Sequence[Made], at_once: int) -> Load:
    sent: dict[str, float] = {}
    answers: list[float] = []
    local = threading.local()

    def send(each: Made) -> None:
        client = getattr(local, "client", None)
        if client is None:
            client = local.client = httpx.Client(headers=target.headers, timeout=120, trust_env=False)
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_sendUserOperation",
            "params": [wire.write_operation(each.operation), words.checksummed(chain.deployment.entry_point)],
        }
        content = json.dumps(body)
        started = time.monotonic()
        answer = client.post(target.url, content=content, headers={"Content-Type": "application/json"}).json()
        answers.append(time.monotonic() - started)
        if answer.get("result") == each.hash:
            sent[each.hash] = started
        elif len(refusals) < MOST_TOLD:
            refusals.append(answer)

    refusals: list[object] = []
    first_block = int(str(chain.rpc("eth_blockNumber")), 16) + 1
    before = _used(target.processes)
    started = time.monotonic()
    watch = _Watch(chain=chain, first_block=first_block, most=len(made))
    watch.start()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(send, made))
    accepted_s = time.monotonic() - started
    for refusal in refusals:
        print(target.name, "refused:", refusal, file=sys.stderr)
    watch.wait_for(set(sent))
    after = _used(target.processes)
    seen = [watch.seen[each] for each in sent]
    return Load(
        accepted_per_s=round(len(sent) / accepted_s, 1),
        included_per_s=round(len(sent) / (max(seen) - started), 1),
        ack_p99_s=round(statistics.quantiles(answers, n=100)[98], 3),
        inclusion_p99_s=round(statistics.quantiles([watch.seen[each] - sent[each] for each in sent], n=100)[98], 3),
        cpu_s_per_1000=round(1000 * (after.cpu_s - before.cpu_s) / len(made), 2),
        rss_mb=round(after.rss_mb, 1),
        refused=len(made) - len(sent),
    )


class _Watch(threading.Thread):
    """Looks at each block for operations that the EntryPoint executed."""

    def __init__(self, *, chain: chain_fixture.Chain, first_block: int, most: int) -> None:
        super().__init__(daemon=True)
        self._chain, self._next, self._most = chain, first_block, most
        self._entry_point = words.checksummed(chain.deployment.entry_point)
        self._is_over = threading.Event()
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        while not self._is_over.wait(POLL_S):
            head = int(str(self._chain.rpc("eth_blockNumber")), 16)
            if head < self._next:
                continue
            query = {
                "address": self._entry_point,
                "topics": ["0x" + USER_OPERATION_EVENT.hex()],
                "fromBlock": hex(self._next),
                "toBlock": hex(head),
            }
            logs = self._chain.rpc("eth_getLogs", query)
            now = time.monotonic()
            self.seen |= {log["topics"][1]: now for log in logs if isinstance(log, dict)}  # type: ignore[attr-defined] # a node's JSON
            self._next = head + 1

    def wait_for(self, wanted: set[str]) -> None:
        """Wait until every operation was seen."""
        deadline = time.monotonic() + FINISHED_WITHIN_S
        while not wanted <= self.seen.keys():
            if time.monotonic() > deadline:
                message = f"{len(wanted - self.seen.keys())} operations are not included"
                raise RuntimeError(message)
            time.sleep(POLL_S)
        self._is_over.set()


def _result(*, ours: Sequence[Load], peer: Sequence[Load], postgres: float) -> dict[str, object]:
    def median(loads: Sequence[Load], name: str) -> float:
        return float(statistics.median(getattr(load, name) for load in loads))

    def ratio(name: str) -> float:
        return round(median(ours, name) / median(peer, name), 3)

    return {
        "accepted_ratio": ratio("accepted_per_s"),
        "included_ratio": ratio("included_per_s"),
        "ack_p99_ratio": ratio("ack_p99_s"),
        "inclusion_p99_ratio": ratio("inclusion_p99_s"),
        "cpu_s_per_1000": median(ours, "cpu_s_per_1000"),
        "rss_ratio": ratio("rss_mb"),
        "included_per_s": median(ours, "included_per_s"),
        "accepted_per_s": median(ours, "accepted_per_s"),
        "postgres_cpu_s": postgres,
        "peer": {"name": "Alto", **{field.name: median(peer, field.name) for field in dataclasses.fields(Load)}},
    }


def _alto_processes() -> list[psutil.Process]:
    found = [each for each in psutil.Process().children() if any("alto.js" in part for part in each.cmdline())]
    return [*found, *(child for each in found for child in each.children(recursive=True))]


def _postgres_cpu_s() -> float:
    times = [each.cpu_times() for each in psutil.process_iter(["name"]) if each.info["name"] == "postgres"]
    return round(float(sum(each.user + each.system for each in times)), 1)


def _token(utility_id: int) -> str:
    from openvpp.core import clock  # noqa: PLC0415 - after Django is set up
    from relayer.usecases import make_api_key  # noqa: PLC0415 - after Django is set up

    _, token = make_api_key.make(
        utility_id=utility_id,
        application="Benchmark",
        scopes=["operations:send", "operations:read"],
        now=clock.get_now(),
        requests_per_minute=10**6,
        operations_per_day=10**6,
    )
    return token


class _node:  # noqa: N801 - used as a function
    """A chain with the contracts on it and the clock of the world."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._log = directory / "anvil.log"

    def __enter__(self) -> chain_fixture.Chain:
        command = [each for each in chain_fixture._command() if not each.startswith("--timestamp")]  # noqa: SLF001 - the tests' own
        command.append("--gas-limit=300000000")  # neither shall wait for room in a block
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        return chain_fixture._prepare(chain_fixture._wait_for_url(self._process, self._log))  # noqa: SLF001 - the node of the tests

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


class _processes:  # noqa: N801 - used as a function
    """Signer, relay and bundler, each as it runs by itself."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.url = f"http://127.0.0.1:{layout.free_port()}"
        key = layout.secret_file(self._directory, "key-encryption-key")
        port = self.url.rsplit(":", 1)[1]
        for name, command, extra in (
            ("signer", ["manage.py", "signer"], {"KEK_FILE": str(key)}),
            ("relay", ["manage.py", "relay"], {}),
            ("bundler", ["manage.py", "bundler", "--port", port], {}),
        ):
            output = (self._directory / f"{name}.log").open("wb")
            self._started.append(
                subprocess.Popen(
                    [sys.executable, *command],
                    cwd=ROOT,
                    env={**os.environ, **extra},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            process.terminate()
            process.wait(20)

    def __iter__(self) -> Iterator[psutil.Process]:
        for process in self._started:
            parent = psutil.Process(process.pid)
            yield from [parent, *parent.children(recursive=True)]


def _configure(*, directory: pathlib.Path, chain: chain_fixture.Chain) -> None:
    os.environ.update(
        {
            "CHAIN_RPC_URL": chain.rpc_url,
            "CHAIN_ID": str(chain.chain_id),
            "OPENVPP_DEPLOYMENTS_DIR": str(directory),
            "SIGNER_URL": f"http://127.0.0.1:{layout.free_port()}",
            "SIGNER_TOKEN": secrets.token_hex(16),
            "DJANGO_SETTINGS_MODULE": "openvpp.settings.test",
            "RELAYER_TRACES": "off",
            "CHAIN_BUNDLE_GAS_LIMIT": "60000000",
        }
    )


def _provision(*, directory: pathlib.Path, chain: chain_fixture.Chain) -> int:
    from customers import models as customer_models  # noqa: PLC0415 - after Django is set up
    from openvpp.core import errors  # noqa: PLC0415 - after Django is set up
    from relayer.adapters import deployer  # noqa: PLC0415 - after Django is set up
    from relayer.usecases import provision_chain  # noqa: PLC0415 - after Django is set up

    utility = customer_models.Utility.objects.create(
        slug="bench", name="Bench", chain_id=chain.chain_id, treasury_address="0x" + "7e" * 20
    )
    key_file = directory / "deployer"
    key_file.write_text(chain_fixture.DEPLOYER.secret.hex())
    owner = deployer.load(path=str(key_file), chain_id=chain.chain_id)
    provision = provision_chain.Provision(
        relayer_wei=100 * 10**18, deposit_wei=100 * 10**18, budget_wei=90 * 10**18, limit_per_day_wei=90 * 10**18
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            provision_chain.provision_chain(
                utility_id=utility.pk, chain_id=chain.chain_id, owner=owner, provision=provision
            )
        except errors.Unreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return int(utility.pk)


def _used(processes: Sequence[psutil.Process]) -> Used:
    times = [process.cpu_times() for process in processes]
    return Used(
        cpu_s=sum(each.user + each.system for each in times),
        rss_mb=sum(process.memory_info().rss for process in processes) / 2**20,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    console = Console(stderr=True)
    result = run(count=asked.operations, at_once=asked.at_once, rounds=asked.rounds, console=console)
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
