"""The relayer under load: signed operations of as many accounts, a chain with blocks of one second, real processes.

`python -m benchmarks.relayer [--operations 1000] [--at-once 32]`. Signer and relay are processes of their own, as
`make run` starts them; PostgreSQL runs without fsync and is reported apart. An operation counts as included when the
relay has its receipt. The last line is `RESULT` and JSON.
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
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

os.environ["OPENVPP_TEST_BLOCK_TIME_S"] = "1"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
import psutil
from rich.console import Console

from contracts import deployments
from contracts.bindings import accounts, paymaster, user_operations, words
from openvpp.stack import layout
from tests import chain_fixture, services_fixture

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIFETIME = datetime.timedelta(minutes=30)
POLL_S = 0.2
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
            valid_after=0,
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


def run(*, count: int, at_once: int, console: Console) -> dict[str, object]:
    """Measure one load."""
    services_fixture.start()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="openvpp-bench-"))
    with _node(directory) as chain:
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        _configure(directory=directory, chain=chain)
        from django.core import management  # noqa: PLC0415 - after the environment is set

        django.setup()
        management.call_command("migrate", verbosity=0)
        with _processes(directory) as processes:
            utility_id = _provision(directory=directory, chain=chain)
            console.print(f"signing {count} operations")
            made = make_operations(chain=chain, count=count, utility_id=utility_id)
            console.print(f"sending {count} operations, {at_once} at a time")
            return _measure(made=made, at_once=at_once, utility_id=utility_id, processes=list(processes))


def _measure(
    *, made: Sequence[Made], at_once: int, utility_id: int, processes: Sequence[psutil.Process]
) -> dict[str, object]:
    from relayer import models  # noqa: PLC0415 - after Django is set up

    before = _used(processes)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        acknowledged = list(pool.map(lambda each: _queue(each, utility_id), made))
    accepted_s = time.monotonic() - started
    states = models.UserOperation.State
    rows = models.UserOperation.objects
    included_s = _wait(lambda: rows.filter(state__in=[states.QUEUED, states.BUNDLED]).exists(), started)
    final_s = _wait(lambda: rows.exclude(state__in=[states.SUCCEEDED, states.FAILED]).exists(), started)
    after = _used(processes)
    return {
        "operations": len(made),
        "failed": models.UserOperation.objects.filter(state=states.FAILED).count(),
        "bundles": models.Bundle.objects.count(),
        "accepted_per_s": round(len(made) / accepted_s, 1),
        "ack_p99_ms": round(1000 * statistics.quantiles(acknowledged, n=100)[98], 1),
        "included_per_s": round(len(made) / included_s, 1),
        "final_per_s": round(len(made) / final_s, 1),
        "cpu_s_per_1000": round(1000 * (after.cpu_s - before.cpu_s) / len(made), 2),
        "rss_mb": round(after.rss_mb, 1),
        "peer": None,
    }


def _wait(is_waiting: Callable[[], bool], started: float) -> float:
    """Return the seconds since `started` after which nothing waits any more."""
    while is_waiting():
        if time.monotonic() - started > FINISHED_WITHIN_S:
            message = f"operations still wait after {FINISHED_WITHIN_S} seconds"
            raise RuntimeError(message)
        time.sleep(POLL_S)
    return time.monotonic() - started


def _queue(made: Made, utility_id: int) -> float:
    from openvpp.core import clock, db  # noqa: PLC0415 - after Django is set up
    from relayer import operations  # noqa: PLC0415

    started = time.monotonic()
    now = clock.get_now()
    with db.transaction():
        operations.queue(
            operation=made.operation,
            quote=None,
            utility_id=utility_id,
            chain_id=chain_fixture.CHAIN_ID,
            expires_at=now + LIFETIME,
            now=now,
        )
    return time.monotonic() - started


class _node:  # noqa: N801 - used as a function
    """A chain with the contracts on it and the clock of the world."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._log = directory / "anvil.log"

    def __enter__(self) -> chain_fixture.Chain:
        command = [each for each in chain_fixture._command() if not each.startswith("--timestamp")]  # noqa: SLF001
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        return chain_fixture._prepare(chain_fixture._wait_for_url(self._process, self._log))  # noqa: SLF001

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


class _processes:  # noqa: N801 - used as a function
    """Signer and relay, as the stack runs them."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        key = layout.secret_file(self._directory, "key-encryption-key")
        for command, extra in (("signer", {"KEK_FILE": str(key)}), ("relay", {})):
            output = (self._directory / f"{command}.log").open("wb")
            self._started.append(
                subprocess.Popen(
                    [sys.executable, "manage.py", command],
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
        }
    )


def _provision(*, directory: pathlib.Path, chain: chain_fixture.Chain) -> int:
    from customers import models as customer_models  # noqa: PLC0415 - after Django is set up
    from openvpp.core import errors  # noqa: PLC0415
    from relayer.adapters import deployer  # noqa: PLC0415
    from relayer.usecases import provision_chain  # noqa: PLC0415

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
    asked = parser.parse_args()
    result = run(count=asked.operations, at_once=asked.at_once, console=Console(stderr=True))
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
