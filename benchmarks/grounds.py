"""What the benchmarks of relayer and signing stand on: a chain with room in its blocks, and processes of ours."""

import atexit
import dataclasses
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Self

import psutil

from openvpp.stack import layout
from tests import chain_fixture

ROOT = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Used:
    """What the relayer's processes have used so far."""

    cpu_s: float
    rss_mb: float


class Node:
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


class Processes:
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


def make_directory() -> pathlib.Path:
    """Return a new directory, which goes with this process, after all that is started from now on."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="openvpp-bench-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def configure(*, directory: pathlib.Path, chain: chain_fixture.Chain) -> None:
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


def provision(*, directory: pathlib.Path, chain: chain_fixture.Chain) -> int:
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
    wanted = provision_chain.Provision(
        relayer_wei=100 * 10**18, deposit_wei=100 * 10**18, budget_wei=90 * 10**18, limit_per_day_wei=90 * 10**18
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            provision_chain.provision_chain(
                utility_id=utility.pk, chain_id=chain.chain_id, owner=owner, provision=wanted
            )
        except errors.Unreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return int(utility.pk)


def make_token(utility_id: int) -> str:
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


def used_by(processes: Sequence[psutil.Process]) -> Used:
    times = [process.cpu_times() for process in processes]
    return Used(
        cpu_s=sum(each.user + each.system for each in times),
        rss_mb=sum(process.memory_info().rss for process in processes) / 2**20,
    )
