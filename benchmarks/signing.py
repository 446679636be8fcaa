"""Payment requests at a steady rate: policies judged, operation signed and queued, as a phone asks for it over HTTP.

`python -m benchmarks.signing [--payments 1000] [--rate 50]`. Web and signer are processes of their own, as `make run`
starts them, with a web worker for each processor. Each payment is of another customer. A request is sent when it is
due, whether or not those before it have ended, and its time counts from that instant: through middleware, token and
proof, idempotency, limits, spending policies, address check, the node's nonce, the sponsor's and the session key's
signatures and the queue, to the answer 202. Only what those requests find is made in bulk: rows, balances and each
phone's proof. PostgreSQL flushes what it commits, unless `--forgetful`. The last line is `RESULT` and JSON.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
import psutil
from django.db import connection
from rich.console import Console

from benchmarks import grounds
from contracts import deployments
from openvpp.stack import embedded, layout
from tests import services_fixture

if TYPE_CHECKING:  # it imports models
    from benchmarks import paying_town

TARGET_P99_MS = 50
THREADS = 32
LEAD_S = 1.0
READY_WITHIN_S = 60.0
WARM_UP = 200
PARTS = ("openvpp.asgi", "manage.py signer", "postgres", "redis", "anvil")
WEB_WORKERS = os.cpu_count() or 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of one request."""

    took_s: float
    status: int


def run(*, payments: int, rate: float, is_durable: bool, console: Console) -> dict[str, object]:
    """Measure one load."""
    os.environ.pop("OPENVPP_TEST_BLOCK_TIME_S", None)  # nothing waits for a block here
    directory = grounds.make_directory()
    if is_durable:
        _start_durable(directory)
    services_fixture.start()
    with grounds.Node(directory) as chain:
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        grounds.configure(directory=directory, chain=chain)
        port = layout.free_port()
        os.environ["BASE_URL"] = f"http://127.0.0.1:{port}"
        django.setup()
        from django.core import management  # noqa: PLC0415 - after the environment is set

        from benchmarks import paying_town  # noqa: PLC0415

        console.print("making the database")
        management.call_command("migrate", verbosity=0)
        kek = layout.secret_file(directory, "key-encryption-key")
        with _process(directory, "signer", [sys.executable, "manage.py", "signer"], KEK_FILE=str(kek)):
            utility_id = grounds.provision(directory=directory, chain=chain)
            console.print(f"settling {payments + WARM_UP} customers with a bill and a quote each")
            asked = paying_town.settle(chain=chain, utility_id=utility_id, count=payments + WARM_UP, kek=str(kek))
            with _process(directory, "web", _web(port), DJANGO_SETTINGS_MODULE="openvpp.settings.local"):
                _wait_until_ready(port)
                _pay(asked=asked[payments : payments + WARM_UP // 2], rate=rate, port=port)
                _age_database()  # what its plans go by is there now
                _pay(asked=asked[payments + WARM_UP // 2 :], rate=rate, port=port)
                console.print(f"paying {payments} bills at {rate:g} a second")
                before = _cpu_s()
                ended = _pay(asked=asked[:payments], rate=rate, port=port)
                used = {name: round(1000 * (now - before.get(name, 0)) / payments, 1) for name, now in _cpu_s().items()}
                return _report(ended=ended, rate=rate, is_durable=is_durable) | {"cpu_ms_per_payment": used}


def _start_durable(directory: pathlib.Path) -> None:
    """Start a PostgreSQL that flushes, unless the environment names one."""
    if "DATABASE_URL" in os.environ:
        return
    postgres = embedded.Postgres(directory=directory / "durable", port=layout.free_port(), password="benchmark")
    services_fixture._serve(postgres)  # noqa: SLF001 - ends with this process, as the tests' own does
    os.environ["DATABASE_URL"] = postgres.url()


def _age_database() -> None:
    """Leave PostgreSQL as it is when it runs for a while, after what was made in bulk.

    It has log files to use again, where a new one takes 16 MB of zeros, and no tables that wait to be looked over.
    """
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
        for _ in range(3):
            cursor.execute("SELECT pg_switch_wal()")
            cursor.execute("CHECKPOINT")


def _web(port: int) -> list[str]:
    """Return the command of the stack's web process, with a worker for each processor as in production."""
    return [
        *[sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)],
        *["--workers", str(WEB_WORKERS), "--log-level", "warning", "openvpp.asgi:application"],
    ]


@contextlib.contextmanager
def _process(directory: pathlib.Path, name: str, command: list[str], **environment: str) -> Iterator[None]:
    with (directory / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=grounds.ROOT, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def _cpu_s() -> dict[str, float]:
    """Return what each part has used of the processors so far, this process being the load."""
    used: dict[str, float] = {}
    for each in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times, command = each.cpu_times(), " ".join(each.cmdline())
            name = "load" if each.pid == os.getpid() else next((part for part in PARTS if part in command), "other")
            used[name] = used.get(name, 0.0) + times.user + times.system
    return used


def _wait_until_ready(port: int) -> None:
    deadline, pause = time.monotonic() + READY_WITHIN_S, threading.Event()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
        pause.wait(0.1)


def _pay(*, asked: "list[paying_town.Asked]", rate: float, port: int) -> list[Ended]:
    """Send each request when it is due."""
    mine = threading.local()
    signed = [each.headers() for each in asked]  # by so many phones; a proof is good for a minute
    begin = time.monotonic() + LEAD_S

    def send(number: int) -> Ended:
        due = begin + number / rate
        each = asked[number]
        connection: http.client.HTTPConnection = getattr(mine, "connection", None) or http.client.HTTPConnection(
            "127.0.0.1", port, timeout=30
        )
        mine.connection = connection
        time.sleep(max(0.0, due - time.monotonic()))
        connection.request("POST", each.path, each.body, signed[number])
        answer = connection.getresponse()
        answer.read()
        return Ended(took_s=time.monotonic() - due, status=answer.status)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(send, range(len(asked))))


def _report(*, ended: list[Ended], rate: float, is_durable: bool) -> dict[str, object]:
    from relayer import models as relayer_models  # noqa: PLC0415 - after Django is set up
    from wallets import models  # noqa: PLC0415

    took = sorted(1000 * each.took_s for each in ended)
    queued = models.Operation.objects.filter(state=models.Operation.State.QUEUED).count() - WARM_UP
    signed = relayer_models.UserOperation.objects.exclude(signature=b"").count() - WARM_UP
    p99 = statistics.quantiles(took, n=100)[98]
    return {
        "payments": len(ended),
        "rate_per_s": rate,
        "web_workers": WEB_WORKERS,
        "accepted": sum(each.status == http.HTTPStatus.ACCEPTED for each in ended),
        "signed_and_queued": min(queued, signed),
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(statistics.quantiles(took, n=20)[18], 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(took[-1], 1),
        "target_p99_ms": TARGET_P99_MS,
        "met": p99 <= TARGET_P99_MS and min(queued, signed) == len(ended),
        "postgres_flushes": is_durable,
        "load_average": round(os.getloadavg()[0], 1),
        "peer": None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--forgetful", action="store_true", help="PostgreSQL without flushes, as the tests run it")
    asked = parser.parse_args()
    result = run(payments=asked.payments, rate=asked.rate, is_durable=not asked.forgetful, console=Console(stderr=True))
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
