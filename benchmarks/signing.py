"""Payment requests at a steady rate: policies judged, operation signed and queued, as a phone asks for it over REST.

`python -m benchmarks.signing [--payments 500] [--rate 50]`. Each payment is of another customer. A request is sent when
it is due, whether or not those before it have ended, and its time counts from that instant: through middleware, token,
idempotency, limits, spending policies, address check, the node's nonce, the sponsor's and the session key's signatures
(both over HTTP from a signer process of its own) and the queue, to the answer 202. The last line is `RESULT` and JSON.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
from rich.console import Console

from benchmarks import relayer
from contracts import deployments
from contracts.bindings import words
from openvpp.stack import layout
from tests import services_fixture

TARGET_P99_MS = 50
THREADS = 8
LEAD_S = 1.0


def run(*, payments: int, rate: float, console: Console) -> dict[str, object]:
    """Measure one load."""
    os.environ.pop("OPENVPP_TEST_BLOCK_TIME_S", None)  # nothing waits for a block here
    services_fixture.start()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="openvpp-bench-"))
    with relayer._node(directory) as chain:  # noqa: SLF001 - the same chain as the relayer's benchmark
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        relayer._configure(directory=directory, chain=chain)  # noqa: SLF001
        django.setup()
        from django.core import management  # noqa: PLC0415 - after the environment is set

        management.call_command("migrate", verbosity=0)
        with _Signer(directory):
            utility_id = relayer._provision(directory=directory, chain=chain)  # noqa: SLF001
            console.print(f"settling {payments} customers with a bill and a quote each")
            asked = _prepare(chain=chain, utility_id=utility_id, count=payments, console=console)
            console.print(f"paying {payments} bills at {rate:g} a second")
            return _measure(asked=asked, rate=rate)


class _Signer:
    """The signer, as the stack runs it."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        key = layout.secret_file(self._directory, "key-encryption-key")
        with (self._directory / "signer.log").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "signer"],
                cwd=relayer.ROOT,
                env={**os.environ, "KEK_FILE": str(key)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


def _prepare(*, chain: Any, utility_id: int, count: int, console: Console) -> list[tuple[Any, str, dict[str, str]]]:
    """Return what each customer's phone will send: who, where, and the body."""
    from customers import models as customer_models  # noqa: PLC0415 - after Django is set up
    from customers import operations as customers  # noqa: PLC0415
    from openvpp.core import clock, db  # noqa: PLC0415
    from relayer import models as relayer_models  # noqa: PLC0415
    from relayer.usecases import refresh_prices  # noqa: PLC0415
    from tests.factories import wallets  # noqa: PLC0415
    from tests.functional import conftest  # noqa: PLC0415

    utility = customer_models.Utility.objects.get(pk=utility_id)
    tokens = []
    with db.transaction():
        for address, symbol, decimals in (
            (chain.deployment.stablecoin, "USDX", 6),
            (chain.deployment.ovpp, "OVPP", 18),
        ):
            terms = {"pays_bills": symbol == "USDX", "pays_fees": True, "fee_cap_units": 10**decimals}
            tokens.append(
                customers.accept_token(
                    utility_id=utility_id,
                    address=words.checksummed(address),
                    symbol=symbol,
                    decimals=decimals,
                    **terms,
                )
            )
    refresh_prices.refresh_prices(chain_id=chain.chain_id, now=clock.get_now())
    town = conftest.Town(
        chain=chain,
        utility=utility,
        stablecoin=tokens[0],
        ovpp=tokens[1],
        application=wallets.Application.create(utility=utility),
    )
    people = [town.settle(f"customer-{number}") for number in range(count)]
    bills = [town.bill(person) for person in people]
    console.print("quoting")
    asked = []
    for person, bill in zip(people, bills, strict=True):
        quote = person.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
        body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
        asked.append((person, f"bills/{bill.pk}/payments/", body))
    # Quotes hold for two minutes; making them took a part of it.
    relayer_models.FeeQuote.objects.update(expires_at=clock.get_now() + relayer.LIFETIME)
    return asked


def _measure(*, asked: list[tuple[Any, str, dict[str, str]]], rate: float) -> dict[str, object]:
    from wallets import models  # noqa: PLC0415 - after Django is set up

    begin = time.monotonic() + LEAD_S

    def send(number: int) -> tuple[float, int]:
        due = begin + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        person, path, body = asked[number]
        answer = person.post(path, body)
        return time.monotonic() - due, answer.status_code

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        ended = list(pool.map(send, range(len(asked))))
    took = sorted(1000 * seconds for seconds, _ in ended)
    queued = models.Operation.objects.filter(state=models.Operation.State.QUEUED).count()
    p99 = statistics.quantiles(took, n=100)[98]
    return {
        "payments": len(asked),
        "rate_per_s": rate,
        "accepted": sum(status == 202 for _, status in ended),
        "signed_and_queued": queued,
        "p50_ms": round(statistics.median(took), 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(took[-1], 1),
        "target_p99_ms": TARGET_P99_MS,
        "met": p99 <= TARGET_P99_MS and queued == len(asked),
        "load_average": round(os.getloadavg()[0], 1),
        "peer": None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50.0)
    asked = parser.parse_args()
    result = run(payments=asked.payments, rate=asked.rate, console=Console(stderr=True))
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
