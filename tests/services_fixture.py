"""A PostgreSQL and a Redis for this test run, started before Django reads its settings and gone with it.

`DATABASE_URL` or `REDIS_URL` in the environment takes the place of the one or the other. Workers of pytest-xdist
inherit the addresses of the process that started them and make databases of their own beside each other.
"""

import atexit
import ctypes
import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import pytest

from openvpp.stack import embedded, layout
from tests import template_database

ANSWERS_WITHIN_S = 30.0
_PR_SET_PDEATHSIG = 1


def start() -> None:
    """Start what the environment does not give, and put its address there; doing it twice does nothing."""
    if "DATABASE_URL" not in os.environ or "REDIS_URL" not in os.environ:
        _start_what_is_missing()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker.startswith("gw"):
        # Workers must not clear each other's caches or count into each other's rate limits.
        os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rpartition('/')[0]}/{int(worker[2:]) + 1}"


def _start_what_is_missing() -> None:
    directory = pathlib.Path(tempfile.mkdtemp(prefix="openvpp-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    if "DATABASE_URL" not in os.environ:
        postgres = embedded.Postgres(
            directory=directory / "postgres", port=layout.free_port(), password="tests", durable=False
        )
        template_database.prepare(postgres, running=_serve)
        _serve(postgres)
        os.environ["DATABASE_URL"] = postgres.url()
        os.environ["TEST_DATABASE_TEMPLATE"] = template_database.NAME
    if "REDIS_URL" not in os.environ:
        redis = embedded.Redis(directory=directory / "redis", port=layout.free_port(), password="tests", durable=False)
        _serve(redis)
        os.environ["REDIS_URL"] = redis.url


def _serve(service: embedded.Postgres | embedded.Redis) -> Callable[[], None]:
    """Start a service and wait until it answers; returns what stops it, which the end of this process does too."""
    service.prepare()
    process = subprocess.Popen(
        service.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_parent(service.stop_signal),
    )
    atexit.register(_end, process, service.stop_signal)
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while not service.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.exit(f"{type(service).__name__} for the tests did not start: {' '.join(service.command)}", 1)
        time.sleep(0.05)
    return functools.partial(_end, process, service.stop_signal)


def _end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with_parent(number: signal.Signals) -> Callable[[], object] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, int(number))
