"""Where drills are played: PostgreSQL, Redis, a chain, a signer, the bundlers' door, and relays that may be killed."""

import contextlib
import dataclasses
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator

import psycopg
import urllib3

from contracts import deployments
from openvpp.stack import embedded, layout
from tests import chain_fixture, services_fixture, template_database
from tests.drills import proxy

ROOT = pathlib.Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 60.0
OTHER_CHAIN_ID = 1
BLOCK_S = 1
CONFIRMATIONS = 3
# No reorganisation goes back to what was prepared.
OUT_OF_REACH_BLOCKS = 16


@dataclasses.dataclass
class Running:
    """A process of ours: started, killed and started again."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: pathlib.Path
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self.process is not None:
            self.kills += 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclasses.dataclass
class Ground:
    """All that drills share."""

    directory: pathlib.Path
    chain: chain_fixture.Chain
    postgres: Running
    redis: Running
    postgres_service: embedded.Postgres
    redis_service: embedded.Redis
    signer: Running
    door: Running
    door_url: str
    first: proxy.NodeProxy
    second: proxy.NodeProxy
    signing: proxy.Proxy
    other_chain_url: str

    def relay(self, number: int = 1, **settings: str) -> Running:
        """Return a relay that is not started yet; its nodes are the first proxy, or both where the settings say so."""
        environment = os.environ | {
            "CHAIN_RPC_URL": self.first.url,
            "SIGNER_URL": self.signing.url,
            "CHAIN_CONFIRMATIONS": str(CONFIRMATIONS),
            **settings,
        }
        return Running(
            name=f"relay {number}",
            command=[sys.executable, "manage.py", "relay"],
            environment=environment,
            log=self.directory / f"relay-{number}.log",
        )

    @property
    def both(self) -> str:
        return f"{self.first.url},{self.second.url}"

    def heal(self) -> None:
        for each in (self.first, self.second, self.signing):
            each.heal()

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return what the database says; wait for one that is away."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=2, autocommit=True) as connection:
                    return list(connection.execute(query, values).fetchall())
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


@contextlib.contextmanager
def prepared(directory: pathlib.Path) -> Iterator[Ground]:
    """Start everything but relays; end it afterwards."""
    with contextlib.ExitStack() as stack:
        postgres_service = embedded.Postgres(
            directory=directory / "postgres", port=layout.free_port(), password="drills"
        )
        template_database.prepare(postgres_service, running=services_fixture._serve)
        postgres = _service(stack, "postgres", postgres_service, directory)
        redis_service = embedded.Redis(
            directory=directory / "redis", port=layout.free_port(), password="drills", durable=False
        )
        redis = _service(stack, "redis", redis_service, directory)
        with psycopg.connect(postgres_service.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE drills TEMPLATE {template_database.NAME}")
        chain = stack.enter_context(_node(directory / "chain"))
        other = stack.enter_context(_bare_node(directory / "other-chain"))
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        first, second = proxy.NodeProxy(chain.rpc_url), proxy.NodeProxy(chain.rpc_url)
        signer_url = f"http://127.0.0.1:{layout.free_port()}"
        signing = proxy.Proxy(signer_url)
        for each in (first, second, signing):
            stack.callback(each.end)
        os.environ.update(
            {
                "DATABASE_URL": postgres_service.url("drills"),
                "REDIS_URL": redis_service.url,
                "CHAIN_RPC_URL": chain.rpc_url,
                "CHAIN_ID": str(chain.chain_id),
                "OPENVPP_DEPLOYMENTS_DIR": str(directory),
                "SIGNER_URL": signer_url,
                "SIGNER_TOKEN": secrets.token_hex(16),
                "RELAYER_TRACES": "off",
                "REFILL_DEPOSIT_BELOW_WEI": "1",  # the deposit's fall is what the books are compared with
                "PYTHONUNBUFFERED": "1",
                "DJANGO_SETTINGS_MODULE": "openvpp.settings.test",
            }
        )
        signer = _process(
            stack, "signer", ["manage.py", "signer"], directory, KEK_FILE=str(layout.secret_file(directory, "kek"))
        )
        port = layout.free_port()
        web = ["-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        door = _process(stack, "door", [*web, "--log-level", "warning", "openvpp.asgi:application"], directory)
        yield Ground(
            directory=directory,
            chain=chain,
            postgres=postgres,
            redis=redis,
            postgres_service=postgres_service,
            redis_service=redis_service,
            signer=signer,
            door=door,
            door_url=f"http://127.0.0.1:{port}",
            first=first,
            second=second,
            signing=signing,
            other_chain_url=other,
        )


def wait_for_http(url: str) -> None:
    """Wait until something answers there, whatever it says."""
    deadline, pool = time.monotonic() + STARTS_WITHIN_S, urllib3.PoolManager(retries=False)
    while True:
        try:
            pool.request("GET", url, timeout=5)
        except urllib3.exceptions.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def wait_for_service(service: embedded.Postgres | embedded.Redis) -> None:
    """Wait until PostgreSQL or Redis answers."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not service.answers():
        if time.monotonic() > deadline:
            message = f"{type(service).__name__} does not answer"
            raise RuntimeError(message)
        time.sleep(0.05)


def _service(
    stack: contextlib.ExitStack, name: str, service: embedded.Postgres | embedded.Redis, directory: pathlib.Path
) -> Running:
    if isinstance(service, embedded.Redis):
        service.prepare()
    running = Running(name=name, command=service.command, environment=dict(os.environ), log=directory / f"{name}.log")
    running.start()
    stack.callback(_stop_service, running, service.stop_signal)
    wait_for_service(service)
    return running


def _stop_service(running: Running, number: signal.Signals) -> None:
    if running.process is not None and running.process.poll() is None:
        running.process.send_signal(number)
        running.process.wait(20)


def _process(
    stack: contextlib.ExitStack, name: str, command: list[str], directory: pathlib.Path, **extra: str
) -> Running:
    running = Running(
        name=name,
        command=[sys.executable, *command],
        environment=os.environ | extra,
        log=directory / f"{name}.log",
    )
    running.start()
    stack.callback(running.stop)
    return running


@contextlib.contextmanager
def _node(directory: pathlib.Path) -> Iterator[chain_fixture.Chain]:
    directory.mkdir()
    command = [each for each in chain_fixture._command() if not each.startswith("--timestamp")]
    with _anvil([*command, "--gas-limit=60000000", "--slots-in-an-epoch=8"], directory) as url:
        yield chain_fixture._prepare(url)


@contextlib.contextmanager
def _bare_node(directory: pathlib.Path) -> Iterator[str]:
    directory.mkdir()
    command = [each for each in chain_fixture._command() if not each.startswith(("--timestamp", "--chain-id"))]
    with _anvil([*command, f"--chain-id={OTHER_CHAIN_ID}", "--block-time=1"], directory) as url:
        yield url


@contextlib.contextmanager
def _anvil(command: list[str], directory: pathlib.Path) -> Iterator[str]:
    log = directory / "anvil.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield chain_fixture._wait_for_url(process, log)
    finally:
        process.terminate()
        process.wait(10)


def port_of(url: str) -> int:
    return urllib.parse.urlsplit(url).port or 80
