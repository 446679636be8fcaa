"""What `make run` says when it cannot: one sentence with what to do, exit code 1, and nothing left behind."""

import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from openvpp.stack import layout

ROOT = pathlib.Path(__file__).resolve().parents[2]
GIVEN = ("DATABASE_URL", "REDIS_URL", "CHAIN_RPC_URL", "DJANGO_SETTINGS_MODULE")


def run_stack(var: pathlib.Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in GIVEN}
    return subprocess.run(
        [sys.executable, "-m", "openvpp.stack", "run"],
        cwd=ROOT,
        env={**environment, "OPENVPP_VAR_DIR": str(var), "PORT": str(layout.free_port()), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def var(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "var"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        yield taker.getsockname()[1]


def assert_refused(refused: subprocess.CompletedProcess[str], var: pathlib.Path, sentence: str) -> None:
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"openvpp  | {sentence}"
    assert refused.stdout == ""
    assert not (var / "processes.json").exists()
    assert not (var / "postgres").exists()


def test_taken_port(var: pathlib.Path, taken_port: int) -> None:
    assert_refused(
        run_stack(var, PORT=str(taken_port)),
        var,
        f"Port {taken_port} is taken by another program: stop it, or choose another port with "
        f"`make run PORT={taken_port + 1}`.",
    )


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_port_that_is_none(var: pathlib.Path, port: str) -> None:
    assert_refused(run_stack(var, PORT=port), var, f"PORT={port} is not a port: give a number from 1 to 65535.")


def test_unreachable_database(var: pathlib.Path) -> None:
    refused = run_stack(var, DATABASE_URL=f"postgresql://me:hunter2@127.0.0.1:{layout.free_port()}/openvpp")

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("openvpp  | No PostgreSQL answers at DATABASE_URL=postgresql://me:***@127.0.0.1:")
    assert refused.stderr.endswith(
        "start it, correct the address, or leave DATABASE_URL out to use the embedded one.\n"
    )
    assert "hunter2" not in refused.stderr


def test_database_of_another_kind(var: pathlib.Path) -> None:
    assert_refused(
        run_stack(var, DATABASE_URL="sqlite:///db"),
        var,
        "DATABASE_URL must look like postgresql://user:password@host:5432/database.",
    )


def test_unreachable_redis(var: pathlib.Path) -> None:
    refused = run_stack(var, REDIS_URL=f"redis://127.0.0.1:{layout.free_port()}/0")

    assert refused.returncode == 1
    assert refused.stderr.startswith("openvpp  | No Redis answers at REDIS_URL=redis://127.0.0.1:")
    assert refused.stderr.endswith("start it, correct the address, or leave REDIS_URL out to use the embedded one.\n")


def test_unreachable_chain(var: pathlib.Path) -> None:
    refused = run_stack(var, CHAIN_RPC_URL=f"http://127.0.0.1:{layout.free_port()}")

    assert refused.returncode == 1
    assert refused.stderr.startswith("openvpp  | No Ethereum node answers at CHAIN_RPC_URL=http://127.0.0.1:")
    assert refused.stderr.endswith(
        "start it, correct the address, or leave CHAIN_RPC_URL out to use the local chain.\n"
    )


def test_journey_that_does_not_exist(var: pathlib.Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "openvpp.stack", "demo"],
        cwd=ROOT,
        env={**os.environ, "OPENVPP_VAR_DIR": str(var), "JOURNEY": "cruise"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 1
    assert refused.stderr == "openvpp  | JOURNEY=cruise does not exist: choose one of bill, event.\n"


def bootstrap(directory: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run the bootstrap where the only programs are those in `directory`."""
    return subprocess.run(
        [sys.executable, str(ROOT / "openvpp" / "stack" / "bootstrap.py")],
        env={"PATH": str(directory), "HOME": str(directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_node(tmp_path: pathlib.Path) -> None:
    refused = bootstrap(tmp_path)

    assert refused.returncode == 1
    assert refused.stderr == (
        "openvpp: Node.js is missing: install Node.js 20 or newer with npm, then run this again.\n"
    )


def test_old_node(tmp_path: pathlib.Path) -> None:
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho v18.20.1\n")
        program.chmod(0o755)

    refused = bootstrap(tmp_path)

    assert refused.returncode == 1
    assert refused.stderr == (
        "openvpp: Node.js v18.20.1 is too old: install Node.js 20 or newer, then run this again.\n"
    )
