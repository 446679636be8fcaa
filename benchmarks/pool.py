"""The bundler's speed with a million operations behind it, beside the same with none: submitting, looking up, bundling.

`python -m benchmarks.pool [--rows 1000000] [--operations 320] [--rounds 3]`. Two databases, one of them filled with
operations that ended, each with its history and its receipt; the same code works on one and on the other in turn, with
the same chain and the same signer. Submitting is `receive_together` by lots of 32, looking up is what a client's
question for a receipt reads, and the loop is all that the relay does until everything is final. PostgreSQL runs without
fsync. The last line is `RESULT` and JSON: the median time with many rows divided by that with few, of each.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
from rich.console import Console

from benchmarks import grounds, wishes
from contracts import deployments
from contracts.bindings import words
from openvpp.stack import layout
from relayer.domain import wire
from tests import chain_fixture, first_operations, services_fixture

LOT = 32
LOOKUPS = 400
HOLDER = "relay-bench"
BIG = "openvpp_bench_big"
FILL = """
INSERT INTO relayer_useroperation (
    hash, chain_id, entry_point, utility_id, api_key_id, validation, marks, sender, nonce, init_code, call_data,
    verification_gas_limit, call_gas_limit, pre_verification_gas, max_fee_per_gas_wei, max_priority_fee_per_gas_wei,
    paymaster_and_data, signature, state, failure, gas_cost_wei, broadcast_at, attempts, leased_by, expires_at,
    created_at, settled_at
)
SELECT sha256(n::text::bytea), %(chain_id)s, %(entry_point)s, %(utility)s, %(key)s, 'fast', '{}',
    substring(sha256((n %% (%(rows)s / 20))::text::bytea) FOR 20), n / (%(rows)s / 20), '',
    decode(repeat('ab', 240), 'hex'),
    60000, 150000, 60000, 3000000000, 1000000, decode(repeat('cd', 170), 'hex'), decode(repeat('ef', 66), 'hex'),
    CASE WHEN n %% 50 = 0 THEN 'failed' ELSE 'succeeded' END, '', 150000000000, at, 1, '', at + interval '1 hour',
    at, at + interval '4 seconds'
FROM (
    SELECT n, now() - interval '90 days' + n * interval '7 seconds' AS at FROM generate_series(1, %(rows)s) AS n
) AS each;
INSERT INTO relayer_useroperationtransition (user_operation_id, state, detail, made_at)
SELECT sha256(n::text::bytea), state, '', now() - interval '90 days' + n * interval '7 seconds'
FROM generate_series(1, %(rows)s) AS n, unnest(ARRAY['queued', 'bundled', 'mined', 'succeeded']) AS state;
INSERT INTO relayer_useroperationreceipt (
    user_operation_id, has_succeeded, reason, transaction_hash, block_number, block_hash, gas_used, gas_cost_wei, logs
)
SELECT sha256(n::text::bytea), true, '', sha256(('t' || n / 50)::bytea), n / 50, sha256(('b' || n / 50)::bytea), 120000,
    150000000000, jsonb_build_array(jsonb_build_object('address', repeat('a', 42), 'topics',
    jsonb_build_array(repeat('1', 66), repeat('2', 66), repeat('3', 66)), 'data', repeat('0', 130),
    'log_index', n %% 200))
FROM generate_series(1, %(rows)s) AS n;
"""


def run(*, rows: int, operations: int, rounds: int, console: Console) -> dict[str, object]:
    """Measure both databases in turn."""
    os.environ.pop("OPENVPP_TEST_BLOCK_TIME_S", None)
    services_fixture.start()
    directory = grounds.make_directory()
    with grounds.Node(directory) as chain:
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        grounds.configure(directory=directory, chain=chain)
        django.setup()
        from django.core import management  # noqa: PLC0415 - after the environment is set
        from django.db import connection  # noqa: PLC0415

        management.call_command("migrate", verbosity=0)
        small = str(connection.settings_dict["NAME"])
        with _Signer(directory):
            utility_id = grounds.provision(directory=directory, chain=chain)
            token = grounds.make_token(utility_id)
            console.print(f"writing {rows} operations")
            connection.close()
            _make_big(small=small, chain=chain, rows=rows)
            names = {"few": small, "many": BIG}
            found: dict[str, list[dict[str, float]]] = {"few": [], "many": []}
            for number in range(rounds):
                for which in ("few", "many") if number % 2 == 0 else ("many", "few"):
                    _use(names[which])
                    made = wishes.make_operations(chain=chain, count=operations, utility_id=utility_id)
                    found[which].append(_measure(chain=chain, token=token, made=made))
                    console.print(f"{which} rows: {found[which][-1]}")
            _use(small)
    return _result(found, rows=rows)


def _result(found: dict[str, list[dict[str, float]]], *, rows: int) -> dict[str, object]:
    medians = {
        which: {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        for which, rounds in found.items()
    }
    ratios = {f"{name}_ratio": round(many / medians["few"][name], 3) for name, many in medians["many"].items()}
    return {
        "rows": rows,
        **ratios,
        "few": medians["few"],
        "many": medians["many"],
        "peer": "the same code without rows",
    }


def _measure(*, chain: chain_fixture.Chain, token: str, made: list[first_operations.Signed]) -> dict[str, float]:
    """Return milliseconds an operation, or a question, of each part."""
    from openvpp.core import clock  # noqa: PLC0415 - after Django is set up
    from relayer import models, queries  # noqa: PLC0415
    from relayer.usecases import receive_operation  # noqa: PLC0415

    key = queries.find_api_keys(tokens=[token])[token]
    entry_point = words.checksummed(chain.deployment.entry_point)
    asked = [
        receive_operation.Asked(key=key, received=wire.Received(operation=each.operation), entry_point=entry_point)
        for each in made
    ]

    def submit() -> None:
        for lot in itertools.batched(asked, LOT):
            got = receive_operation.receive_together(asked=lot, chain_id=chain.chain_id, now=clock.get_now())
            refused = [each for each in got if not isinstance(each, str)]
            if refused:
                raise RuntimeError(str(refused[0]))

    hashes = list(models.UserOperation.objects.order_by("pk").values_list("hash", flat=True)[:5000])
    wanted = random.Random(1).choices([*hashes, *(each.hash for each in made)], k=LOOKUPS)

    def look_up() -> None:
        for each in wanted:
            queries.find_operation(utility_id=key.utility_id, chain_id=chain.chain_id, user_operation_hash=each)

    submitted = _timed(submit) / len(made)
    looked_up = _timed(look_up) / LOOKUPS
    return {"submit_ms": submitted, "lookup_ms": looked_up, "loop_ms": _loop(chain) / len(made)}


def _loop(chain: chain_fixture.Chain) -> float:
    """Return the milliseconds that the relay works until all is final; mining is not counted."""
    from openvpp.core import clock  # noqa: PLC0415 - after Django is set up
    from relayer import models  # noqa: PLC0415
    from relayer.usecases import hold_keys, send_bundle, watch_bundles  # noqa: PLC0415

    def turn() -> None:
        now = clock.get_now()
        keys = hold_keys.hold_keys(chain_id=chain.chain_id, holder=HOLDER, now=now)
        watch_bundles.watch_bundles(chain_id=chain.chain_id, holder=HOLDER, now=now)
        for key in keys:
            while send_bundle.send_bundle(key=key, holder=HOLDER, now=clock.get_now()):
                continue

    took = 0.0
    send_bundle.PATIENCE_OF_OPEN = send_bundle.PATIENCE
    time.sleep(2 * send_bundle.PATIENCE.total_seconds())
    while models.UserOperation.objects.filter(state__in=["queued", "bundled", "mined"]).exists():
        took += _timed(turn)
        chain.rpc("anvil_mine", "0x1")
    return took


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return round(1000 * (time.perf_counter() - started), 3)


def _make_big(*, small: str, chain: chain_fixture.Chain, rows: int) -> None:
    from django.db import connection  # noqa: PLC0415 - after Django is set up

    from relayer import models  # noqa: PLC0415

    key = models.ApiKey.objects.get()
    asked: dict[str, Any] = {
        "rows": rows,
        "chain_id": chain.chain_id,
        "entry_point": chain.deployment.entry_point,
        "utility": key.utility_id,
        "key": key.pk,
    }
    _use("template1")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{small}'")
        cursor.execute(f'CREATE DATABASE {BIG} TEMPLATE "{small}"')
    _use(BIG)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for statement in filter(str.strip, FILL.split(";\n")):
            cursor.execute(statement, asked)
        for table in ("relayer_useroperation", "relayer_useroperationtransition", "relayer_useroperationreceipt"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def _use(name: str) -> None:
    from django.db import connection  # noqa: PLC0415 - after Django is set up

    connection.close()
    connection.settings_dict["NAME"] = name


class _Signer:
    """The signer, as it runs by itself."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        key = layout.secret_file(self._directory, "key-encryption-key")
        with (self._directory / "signer.log").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "signer"],
                cwd=grounds.ROOT,
                env={**os.environ, "KEK_FILE": str(key)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--operations", type=int, default=320, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    result = run(rows=asked.rows, operations=asked.operations, rounds=asked.rounds, console=Console(stderr=True))
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
