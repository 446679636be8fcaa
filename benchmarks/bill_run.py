"""A bill run from stored meter days to stored drafts with their lines, and issuing measured apart.

Accounts, service and a month of 15-minute days go in by COPY; four tariffs of the corpus are shared among them. Used
by `benchmarks.rating`, which also extrapolates.
"""

import dataclasses
import datetime
import json
import pathlib
import sys
import time
from typing import Any

import numpy as np

DATA = pathlib.Path(__file__).parents[1] / "tests" / "data" / "tariffs"
SHEETS = {
    "FLAT": "comstock_flat_539fbe90ec4f024c27d887e9.json",
    "TIER": "comstock_tiered5_5d7956535457a321787db2ea.json",
    "TOU": "comstock_tou_tiered_539fc38fec4f024c27d8bd79.json",
    "DEMAND": "comstock_tou_seasonal_demand_56b924a65457a3d41f48d234.json",
}
FIRST, AFTER = datetime.date(2026, 3, 1), datetime.date(2026, 4, 1)
NOW = datetime.datetime(2026, 4, 2, 12, tzinfo=datetime.UTC)
PATTERNS = 20_000
INTERVALS = 96
SEED = 11


@dataclasses.dataclass(frozen=True)
class Measured:
    accounts: int
    bills_per_s: float
    issued_per_s: float
    lines_per_bill: float
    stored_in_s: float


def measure(*, accounts: int, issued: int, workers: int = 1) -> Measured:
    """Draft the bills of so many accounts, and issue some of them; the database is the one that Django has now."""
    from django.db import connection  # noqa: PLC0415 - after Django is set up

    from billing import models  # noqa: PLC0415 - after Django is set up
    from billing.domain import packed_lines  # noqa: PLC0415 - after Django is set up
    from billing.usecases import draft_bills, import_tariff, issue_drafts  # noqa: PLC0415 - after Django is set up
    from tests.factories import customers  # noqa: PLC0415 - after Django is set up

    began = time.perf_counter()
    utility = customers.Utility.create()
    _store(utility=utility, accounts=accounts)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE, PARALLEL 0)")
    stored = time.perf_counter() - began
    for code, name in SHEETS.items():
        rate = json.loads((DATA / name).read_text(encoding="utf-8"))
        rate.pop("enddate", None)
        import_tariff.import_tariff(
            utility_id=utility.pk, code=code, text=json.dumps(rate), effective_from=datetime.date(2020, 1, 1), now=NOW
        )
    # Warm: compile, plan and read the first lot, then throw it away.
    run = models.BillRun.objects.create(utility=utility, starts_on=FIRST, ends_on=AFTER, started_at=NOW)
    next(draft_bills.work(run=run, now=NOW))
    draft_bills.discard_drafts(run_id=run.pk)
    began = time.perf_counter()
    run, progress = draft_bills.draft_bills(
        utility_id=utility.pk, starts_on=FIRST, ends_on=AFTER, now=NOW, workers=workers
    )
    took = time.perf_counter() - began
    assert (progress.together, progress.done) == (accounts, accounts)
    sample = models.BillDraft.objects.filter(run=run).order_by("pk")[:1000]
    lines = [int(np.frombuffer(draft.spans, dtype="<i8")[packed_lines.HEAD - 1]) for draft in sample]
    staff = customers.StaffUser.create()
    issue_drafts.approve_run(run_id=run.pk, user=staff, now=NOW)
    began = time.perf_counter()
    issue_drafts.issue_drafts(run_id=run.pk, now=NOW, most=issued)
    issuing = time.perf_counter() - began
    return Measured(
        accounts=accounts,
        bills_per_s=accounts / took,
        issued_per_s=issued / issuing,
        lines_per_bill=sum(lines) / len(lines),
        stored_in_s=stored,
    )


def _store(*, utility: Any, accounts: int) -> None:
    from django.db import connection  # noqa: PLC0415 - after Django is set up

    from meters import models as meter_models  # noqa: PLC0415 - after Django is set up
    from meters.domain import bulk, units  # noqa: PLC0415 - after Django is set up
    from tests.factories import readings  # noqa: PLC0415 - after Django is set up

    codes = list(SHEETS)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers_customeraccount (utility_id, number, claim_proof, opened_on) "
            "SELECT %s, 'B-' || lpad(n::text, 9, '0'), '', '2020-01-01' FROM generate_series(1, %s) AS n",
            [utility.pk, accounts],
        )
        cursor.execute(
            "INSERT INTO customers_premise (utility_id, street, city, region, postal_code, country) "
            "VALUES (%s, 'Quay', 'Harborview', 'ME', '04101', 'US') RETURNING id",
            [utility.pk],
        )
        premise = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO customers_servicepoint (premise_id, number) SELECT %s, number FROM customers_customeraccount "
            "WHERE utility_id = %s ORDER BY id",
            [premise, utility.pk],
        )
        cursor.execute(
            "INSERT INTO customers_serviceagreement (account_id, service_point_id, tariff_code, starts_on) "
            "SELECT a.id, p.id, (%s::text[])[1 + a.id %% %s], '2020-01-01' FROM customers_customeraccount a "
            "JOIN customers_servicepoint p ON p.number = a.number AND p.premise_id = %s WHERE a.utility_id = %s",
            [codes, len(codes), premise, utility.pk],
        )
        cursor.execute("SELECT id FROM customers_servicepoint WHERE premise_id = %s ORDER BY id", [premise])
        points = [row[0] for row in cursor.fetchall()]
    channels = meter_models.Channel.objects.bulk_create(
        [
            meter_models.Channel(
                utility=utility,
                service_point_id=point,
                source="meter",
                flow="delivered",
                unit="Wh",
                time_zone=utility.time_zone,
            )
            for point in points
        ],
        batch_size=5000,
    )
    ids = np.array([channel.pk for channel in channels], dtype=np.int64)
    batch = readings.batch(utility)
    numbers = np.random.default_rng(SEED)
    days = [FIRST + datetime.timedelta(days=day) for day in range((AFTER - FIRST).days)]
    values = numbers.integers(0, 900, (min(PATTERNS, accounts), INTERVALS)) * 1000
    for first in range(0, accounts, PATTERNS):
        part = ids[first : first + PATTERNS]
        for place, day in enumerate(days):
            short = 4 * (day == datetime.date(2026, 3, 8))  # 23 hours in New York
            rolled = np.roll(values, place * 37 + first, axis=0)[: len(part), : INTERVALS - short]
            meter_models.MeterDay.copy_pieces(
                pieces=bulk.to_copy(
                    channel_ids=part,
                    account_ids=part,
                    dates=np.full(len(part), np.datetime64(day)),
                    batch_id=batch.pk,
                    interval_seconds=900,
                    milli_units=rolled,
                    quality=units.Quality.VALID,
                )
            )


def main() -> None:
    from tests import bench_database  # noqa: PLC0415 - starts PostgreSQL, then Django

    with bench_database.open_database():
        print(
            json.dumps(dataclasses.asdict(measure(accounts=int(sys.argv[1]) if sys.argv[1:] else 20_000, issued=2_000)))
        )


if __name__ == "__main__":
    main()
