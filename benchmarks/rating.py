"""How fast bills are rated, beside PySAM's Utilityrate5: `python -m benchmarks.rating`, last line `RESULT` and JSON.

annual      200 random tariffs of the corpus x 500 hourly years, in memory, both sides warmed, one core each.
classes     the same by what makes a tariff slow: the worst class counts.
kernel      15-minute months from packed int16 counts to amounts by line, best of 5.
bills       stored meter days to stored drafts with their lines, one process, PostgreSQL beside it; issuing apart.
city        ten million customers, extrapolated linearly from the accounts measured (--accounts).
"""

import argparse
import collections
import dataclasses
import datetime
import gzip
import json
import pathlib
import random
import time
import zoneinfo
from typing import Any

import numpy as np
from rich import console, table

from benchmarks import bill_run, pysam_reference
from billing.adapters import urdb
from billing.domain import batch, loads, span_batch, span_cells, span_sheets, tariffs, terms

CORPUS = pathlib.Path(__file__).parents[1] / "tests" / "data" / "tariffs" / "comstock_urdb.ndjson.gz"
UTC = zoneinfo.ZoneInfo("UTC")
TARIFFS, LOADS, PYSAM_LOADS = 200, 500, 4
MONTHS_AT_ONCE = 20_000
ACCOUNTS, ISSUED, CITY = 200_000, 2_000, 10_000_000


@dataclasses.dataclass(frozen=True)
class Contender:
    kind: str
    compiled: batch.Compiled
    reference: Any


@dataclasses.dataclass(frozen=True)
class Annual:
    ours_per_s: float
    reference_per_s: float
    by_class: dict[str, float]

    @property
    def ratio(self) -> float:
        return self.ours_per_s / self.reference_per_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--workers", type=int, default=1, help="Processes that draft; the promise is for one.")
    asked = parser.parse_args()
    from tests import bench_database  # noqa: PLC0415 - starts PostgreSQL, then Django

    with bench_database.open_database():
        bills = bill_run.measure(accounts=asked.accounts, issued=ISSUED, workers=asked.workers)
    out = console.Console()
    annual = measure_annual()
    months = measure_kernel()
    shown = table.Table("what", "value", title="Rating, one core")
    shown.add_row("annual hourly bills/s, ours", f"{annual.ours_per_s:,.0f}")
    shown.add_row("annual hourly bills/s, PySAM", f"{annual.reference_per_s:,.0f}")
    shown.add_row("ratio", f"{annual.ratio:,.0f}")
    for name, ratio in sorted(annual.by_class.items(), key=lambda item: item[1]):
        shown.add_row(f"ratio, {name}", f"{ratio:,.0f}")
    shown.add_row("15-minute months/s in the kernel", f"{months:,.0f}")
    shown.add_row(
        f"drafts/s of {bills.accounts:,} accounts, {bills.lines_per_bill:.1f} lines each", f"{bills.bills_per_s:,.0f}"
    )
    shown.add_row("issued/s", f"{bills.issued_per_s:,.0f}")
    minutes = CITY / bills.bills_per_s / 60
    shown.add_row(f"minutes for {CITY:,}, extrapolated linearly from {bills.accounts:,}", f"{minutes:,.1f}")
    shown.add_row("seconds to store the readings", f"{bills.stored_in_s:,.0f}")
    out.print(shown)
    result = {
        "annual_ratio_pysam": round(annual.ratio, 1),
        "kernel_months_per_s": round(months),
        "bills_per_s": round(bills.bills_per_s),
        "worst_class_ratio": round(min(annual.by_class.values()), 1),
        "issued_per_s": round(bills.issued_per_s),
        "city_minutes_extrapolated": round(minutes, 1),
    }
    print("RESULT " + json.dumps(result))


def measure_annual() -> Annual:
    """Return annual bills/s a core of both sides over the same tariffs; ours counts the adding up of each load."""
    contenders = _contenders()
    year = 1_000_000 * np.random.default_rng(1).gamma(2, 2, (LOADS, 8760))
    energy = np.rint(year).astype(np.int64)
    starts = int(datetime.datetime(2018, 1, 1, tzinfo=UTC).timestamp()) + 3600 * np.arange(8760, dtype=np.int64)

    def add_up() -> batch.Cells:
        return batch.aggregate(energy_milliwh=energy, starts=starts, interval_seconds=3600, zone=UTC)

    cells = add_up()
    before = batch.peaks_of_months(cells=cells, metering=tariffs.Metering.NET_METERING)
    for contender in contenders[:3]:
        _rate(contender, cells, before)
        _run_reference(contender, energy[0])
    began = time.perf_counter()
    add_up()
    added = time.perf_counter() - began
    ours: dict[str, float] = collections.defaultdict(float)
    theirs: dict[str, float] = collections.defaultdict(float)
    counts: collections.Counter[str] = collections.Counter()
    for contender in contenders:
        began = time.perf_counter()
        _rate(contender, cells, before)
        ours[contender.kind] += time.perf_counter() - began
        began = time.perf_counter()
        for load in range(PYSAM_LOADS):
            _run_reference(contender, energy[load])
        theirs[contender.kind] += time.perf_counter() - began
        counts[contender.kind] += 1
    share = added / len(contenders)
    return Annual(
        ours_per_s=len(contenders) * LOADS / (sum(ours.values()) + added),
        reference_per_s=len(contenders) * PYSAM_LOADS / sum(theirs.values()),
        by_class={
            kind: (counts[kind] * LOADS / (ours[kind] + share * counts[kind]))
            / (counts[kind] * PYSAM_LOADS / theirs[kind])
            for kind in counts
        },
    )


def measure_kernel() -> float:
    """Return 15-minute months/s: packed counts to amounts by line, on a time-of-use tariff with tiers."""
    tariff = next(each.compiled.tariff for each in _contenders() if each.kind == "time of use and tiers")
    period = loads.BillingPeriod(datetime.date(2026, 7, 1), datetime.date(2026, 8, 1), UTC)
    grid = span_cells.grid(period=period, interval_seconds=900, holidays=frozenset())
    counts = np.random.default_rng(2).integers(0, 900, (MONTHS_AT_ONCE, len(grid.starts))).astype(np.int16)
    scales = np.full((MONTHS_AT_ONCE, grid.days), 1000, dtype=np.int64)
    factors = np.ones(MONTHS_AT_ONCE, dtype=np.int64)
    sheet = span_sheets.prepare(tariff=tariff, tariff_id=1, reading=terms.Terms(), period=period, interval_seconds=900)
    memory = span_batch.forget(sheet=sheet, count=MONTHS_AT_ONCE)

    def run() -> None:
        cells = span_cells.of_packed(grid=grid, counts=counts, scales=scales, factors=factors)
        span_batch.rate(sheet=sheet, cells=cells, memory=memory)

    run()
    times: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return MONTHS_AT_ONCE / min(times)


def _contenders() -> list[Contender]:
    with gzip.open(CORPUS, "rt") as file:
        lines = random.Random(3).sample(file.readlines(), TARIFFS + 40)
    found: list[Contender] = []
    for line in lines:
        rate = json.loads(line)
        try:
            model = pysam_reference.prepare(rate)
            pysam_reference.run(model, load=np.ones(8760), generation=np.zeros(8760))
        except Exception:  # noqa: BLE001 - a rate that PySAM refuses is no contender
            continue
        tariff = urdb.read(text=line)
        compiled = batch.compile_tariff(tariff=tariff, reading=terms.AS_REFERENCE)
        found.append(Contender(_kind(tariff), compiled, model))
    return found[:TARIFFS]


def _kind(tariff: tariffs.Tariff) -> str:
    periods = tariff.energy.tiers if tariff.energy else ()
    steps = max(len(tiers) for tiers in periods)
    if tariff.ratchet or any(tier.unit.is_per_kw for tiers in periods for tier in tiers):
        return "hours of use or ratchet"
    if tariff.tou_demand:
        return "time-of-use demand"
    if len(periods) > 1 and steps > 1:
        return "time of use and tiers"
    if tariff.flat_demand:
        return "flat demand"
    return "tiers" if steps > 1 else "energy alone"


def _rate(contender: Contender, cells: batch.Cells, before: loads.Int64s) -> batch.Rated:
    return batch.rate(compiled=contender.compiled, cells=cells, reading=terms.AS_REFERENCE, before=before)


def _run_reference(contender: Contender, energy: loads.Int64s) -> None:
    contender.reference.Load.load = (energy / 1_000_000).tolist()
    contender.reference.execute()


if __name__ == "__main__":
    main()
