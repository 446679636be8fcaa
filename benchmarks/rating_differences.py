"""Writes docs/rating-differences.md (`python -m benchmarks.rating_differences`): where we and the reference differ.

Every row of the golden file is rated on its load and compared component by component, month by month; each row that
differs by more than half a cent is put under the first cause that explains it to the cent. What no cause explains is
listed as unexplained, and the command fails.
"""

import collections
import csv
import dataclasses
import decimal
import gzip
import json
import pathlib
import sys
from typing import Any

import numpy as np

from billing.adapters import urdb
from billing.domain import batch, bill, energy, loads, local_time, tariffs, terms
from tests.factories import rating as factory

OUT = pathlib.Path(__file__).parents[1] / "docs" / "rating-differences.md"
GOLDEN = factory.DATA / "golden" / "pysam_comstock_public.csv.gz"
CORPUS = factory.DATA / "tariffs" / "comstock_urdb.ndjson.gz"
LOADS = {"res": "ssc_residential_load.csv", "com": "ssc_load_commercial.csv"}
HALF_A_CENT = 0.005
DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
NONE = "none: equal to half a cent"
CAUSES = {
    "per day": "A charge in $/day is charged for each day of the month; the reference charges 365/12 days every month.",
    "below zero": "A price of energy below zero is a credit; the reference takes it as nothing.",
    "as it comes": "Under net billing the reference fills tiers hour by hour as energy comes; we share each tier of "
    "the month among the times of use, as under every other rule.",
    "unexplained": "No cause is known.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    kind: str
    agrees: bool
    label: str
    load: str
    cause: str
    components: tuple[str, ...]


def main() -> int:
    rows = list(compare())
    text = render(rows)
    OUT.write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(row.cause == "unexplained" for row in rows) else 0


def compare() -> list[Row]:
    """Return what each golden row differs by, and why."""
    golden: dict[tuple[str, ...], dict[str, Any]] = collections.defaultdict(dict)
    with gzip.open(GOLDEN, "rt") as file:
        for row in csv.DictReader(file):
            key = (row["eiaid"], row["label"], row["load"], row["class"], row["independent_agrees"])
            golden[key][row["component"]] = np.array([float(row[f"m{month}"]) for month in range(1, 13)])
    wanted = {key[:2] for key in golden}
    read: dict[tuple[str, str], tariffs.Tariff] = {}
    with gzip.open(CORPUS, "rt") as file:
        for line in file:
            rate = json.loads(line, parse_float=decimal.Decimal)
            if (str(rate["eiaid"]), rate["label"]) in wanted:
                read[str(rate["eiaid"]), rate["label"]] = urdb.to_tariff(rate=rate)
    used = {name: factory.load_file(file) for name, file in LOADS.items()}
    cells = {name: _cells(load) for name, load in used.items()}
    return [_compare(key, read[key[0], key[1]], months, used[key[2]], cells[key[2]]) for key, months in golden.items()]


def render(rows: list[Row]) -> str:
    """Return the page."""
    kinds = sorted({row.kind for row in rows})
    table = [
        "| class | rows | equal to half a cent | share | of confirmed rows, equal | causes of the others |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for kind in kinds:
        inside = [row for row in rows if row.kind == kind]
        equal = [row for row in inside if row.cause == NONE]
        confirmed = [row for row in inside if row.agrees]
        causes = collections.Counter(row.cause for row in inside if row.cause != NONE)
        named = ", ".join(f"{cause} {count}" for cause, count in causes.most_common()) or "none"
        table.append(
            f"| {kind} | {len(inside)} | {len(equal)} | {100 * len(equal) / len(inside):.1f} % | "
            f"{sum(row.cause == NONE for row in confirmed)} of {len(confirmed)} | {named} |"
        )
    equal_rows = sum(row.cause == NONE for row in rows)
    exceptions = [
        f"| {row.kind} | {row.label} | {row.load} | {', '.join(row.components)} | {row.cause} |"
        for row in rows
        if row.cause != NONE
    ]
    return "\n".join(
        [
            "# Where our figures are not the reference's",
            "",
            "Written by `python -m benchmarks.rating_differences` from the golden rows of Utilityrate5 (PySAM) on two",
            "loads: twelve months of totals and components of each tariff, compared to half a cent with",
            "`--reading reference`.",
            "",
            f"{equal_rows} of {len(rows)} rows are equal.",
            "",
            *table,
            "",
            "## Causes",
            "",
            *[f"- {name}: {words}" for name, words in CAUSES.items() if name in {row.cause for row in rows}],
            "",
            "## Each exception",
            "",
            "| class | label | load | differs in | cause |",
            "|---|---|---|---|---|",
            *exceptions,
            "",
        ]
    )


def _cells(load: loads.IntervalSeries) -> batch.Cells:
    return batch.aggregate(
        energy_milliwh=load.import_milliwh[None, :], starts=load.starts, interval_seconds=3600, zone=factory.UTC
    )


def _compare(
    key: tuple[str, ...],
    tariff: tariffs.Tariff,
    reference: dict[str, Any],
    load: loads.IntervalSeries,
    cells: batch.Cells,
) -> Row:
    ours = _rate(tariff, cells)
    differing = _differing(ours, reference)
    cause = _cause(tariff, cells, reference, differing, load) if differing else NONE
    return Row(key[3], key[4] == "1", key[1], key[2], cause, tuple(sorted(differing)))


def _rate(tariff: tariffs.Tariff, cells: batch.Cells) -> dict[str, Any]:
    rated = batch.rate(
        compiled=batch.compile_tariff(tariff=tariff, reading=terms.AS_REFERENCE),
        cells=cells,
        reading=terms.AS_REFERENCE,
        before=batch.peaks_of_months(cells=cells, metering=tariff.metering),
    )
    return {component.value: rated.component(component)[0] / 1e9 for component in bill.Component}


def _differing(ours: dict[str, loads.Int64s], reference: dict[str, Any]) -> set[str]:
    return {
        name for name, months in ours.items() if np.abs(months - reference.get(name, np.zeros(12))).max() > HALF_A_CENT
    }


def _cause(
    tariff: tariffs.Tariff,
    cells: batch.Cells,
    reference: dict[str, Any],
    differing: set[str],
    load: loads.IntervalSeries,
) -> str:
    """Return which of the reference's ways, applied to the tariff, makes the figures equal."""
    if any(charge.per is tariffs.ChargePer.DAY for charge in tariff.fixed) and differing == {"fixed", "total"}:
        spread = tuple(
            dataclasses.replace(charge, amount_nano=round(charge.amount_nano * 365 / 12), per=tariffs.ChargePer.MONTH)
            if charge.per is tariffs.ChargePer.DAY
            else charge
            for charge in tariff.fixed
        )
        if not _differing(_rate(dataclasses.replace(tariff, fixed=spread), cells), reference):
            return "per day"
    if tariff.energy is not None and any(tier.total_nano < 0 for tiers in tariff.energy.tiers for tier in tiers):
        clipped = tuple(
            tuple(
                dataclasses.replace(tier, price_nano=0, adjustment_nano=0) if tier.total_nano < 0 else tier
                for tier in tiers
            )
            for tiers in tariff.energy.tiers
        )
        credited = dataclasses.replace(tariff.energy, tiers=clipped)
        if not _differing(_rate(dataclasses.replace(tariff, energy=credited), cells), reference):
            return "below zero"
    if tariff.metering is tariffs.Metering.NET_BILLING and differing == {"energy", "total"}:
        came = _as_it_comes(tariff, load)
        if np.abs(came - reference["energy"]).max() <= HALF_A_CENT:
            return "as it comes"
    return "unexplained"


def _as_it_comes(tariff: tariffs.Tariff, load: loads.IntervalSeries) -> Any:
    """Return twelve months of energy in dollars where each hour is priced at the tier that the month has reached."""
    charge = tariff.energy
    assert charge is not None
    times = local_time.to_local(starts=load.starts, zone=factory.UTC, holidays=frozenset())
    periods = energy.periods_of(times=times, schedule=charge.schedule)
    months = np.zeros(12)
    for month in range(1, 13):
        inside = times.month == month
        after = np.cumsum(load.import_milliwh[inside])
        before = after - load.import_milliwh[inside]
        for period, tiers in enumerate(charge.tiers):
            chosen = periods[inside] == period
            lower = 0
            for tier in tiers:
                upper = after[-1] if tier.upper_micro is None else tier.upper_micro
                part = np.clip(after[chosen], lower, upper) - np.clip(before[chosen], lower, upper)
                months[month - 1] += int(part.sum()) * tier.total_nano / 1e15
                lower = upper
    return months


if __name__ == "__main__":
    sys.exit(main())
