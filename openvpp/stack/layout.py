"""What stands where under `var/`, and the secrets and ports that a development stack makes for itself."""

import collections.abc
import json
import os
import pathlib
import secrets
import socket
from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from openvpp.stack import errors

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600


class Layout:
    """The paths of one stack. Everything below `var` is private to the user who runs it."""

    def __init__(self, *, var: pathlib.Path) -> None:
        self.var = var
        self.secrets = var / "secrets"
        self.deployments = var / "deployments"
        self.logs = var / "log"
        self.postgres = var / "postgres"
        self.redis = var / "redis"
        self.chain_state = var / "chain" / "state.json"
        self.run_file = var / "run.json"
        self.lock_file = var / "stack.lock"
        self.processes_file = var / "processes.json"
        self.environment_file = var / "environment.json"
        self.ports_file = var / "ports.json"

    def make(self) -> None:
        directories = (self.var, self.secrets, self.deployments, self.logs, self.redis, self.chain_state.parent)
        for directory in directories:
            directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            directory.chmod(PRIVATE_DIRECTORY)


def default_var() -> pathlib.Path:
    return pathlib.Path(os.environ.get("OPENVPP_VAR_DIR") or ROOT / "var").resolve()


def read_json(path: pathlib.Path) -> dict[str, object]:
    """The object in `path`, or an empty one where there is no such file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise errors.UnableToRunError(f"{path} is damaged: delete it, or start over with `make reset`.") from error
    return content if isinstance(content, dict) else {}


def write_private(path: pathlib.Path, content: str) -> None:
    """Replace `path` in one step by `content`, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    temporary.replace(path)


def write_json(path: pathlib.Path, content: Mapping[str, object]) -> None:
    write_private(path, json.dumps(content, indent=2) + "\n")


def secret_file(directory: pathlib.Path, name: str) -> pathlib.Path:
    """The file of a random 32-byte secret in hexadecimal, made on first use."""
    path = directory / name
    if not path.exists():
        write_private(path, secrets.token_hex(32) + "\n")
    return path


def ec_key_file(directory: pathlib.Path, name: str) -> pathlib.Path:
    """The file of a random EC key (P-256, PKCS #8, PEM), made on first use."""
    path = directory / name
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem.decode())
    return path


def read_secret(path: pathlib.Path) -> str:
    return path.read_text().strip()


class Ports:
    """Loopback ports that stay the same from start to start as long as nobody else takes them."""

    def __init__(self, *, path: pathlib.Path) -> None:
        self._path = path
        self._known = {name: port for name, port in read_json(path).items() if isinstance(port, int)}

    def port(self, name: str) -> int:
        known = self._known.get(name)
        if known is None or not is_free(known):
            known = free_port(avoid=set(self._known.values()))
            self._known[name] = known
            write_json(self._path, dict(self._known))
        return known


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(avoid: collections.abc.Set[int] = frozenset()) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in avoid:
            return port
