"""Loads and tariffs that several tests rate."""

import datetime
import decimal
import itertools
import json
import pathlib
import zoneinfo
from collections.abc import Sequence
from typing import Any

import numpy as np

from billing.adapters import urdb
from billing.domain import bill, loads, tariffs

DATA = pathlib.Path(__file__).parents[1] / "data"
UTC = zoneinfo.ZoneInfo("UTC")
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


def load_file(name: str) -> loads.IntervalSeries:
    """Return a year of hourly kW from 2018-01-01, a Monday, as whole mWh in UTC: no daylight saving."""
    kilowatts = np.loadtxt(DATA / "load" / name, encoding="utf-8-sig")
    return loads.IntervalSeries.regular(
        starts_at=datetime.datetime(2018, 1, 1, tzinfo=UTC),
        interval_seconds=3600,
        import_milliwh=np.rint(kilowatts * 1_000_000).astype(np.int64),
    )


def months(*, year: int, zone: zoneinfo.ZoneInfo) -> list[loads.BillingPeriod]:
    """Return the twelve calendar months of a year."""
    firsts = [datetime.date(year, month, 1) for month in range(1, 13)] + [datetime.date(year + 1, 1, 1)]
    return [loads.BillingPeriod(first, after, zone) for first, after in itertools.pairwise(firsts)]


def flat_load(*, period: loads.BillingPeriod, watt_hours: int, interval_seconds: int = 3600) -> loads.IntervalSeries:
    """Return the same energy in every interval of a period."""
    count = (period.ends - period.starts) // interval_seconds
    return loads.IntervalSeries.regular(
        starts_at=datetime.datetime.fromtimestamp(period.starts, tz=datetime.UTC),
        interval_seconds=interval_seconds,
        import_milliwh=np.full(count, watt_hours * 1000, dtype=np.int64),
    )


def make_tariff(
    *,
    weekday: Sequence[int] | None = None,
    weekend: Sequence[int] | None = None,
    energy: object = (({"rate": "0.10"},),),
    **fields: Any,
) -> tariffs.Tariff:
    """Return a tariff from URDB fields; the schedules are one row of 24 hours for every month."""
    rate = {
        "label": "test",
        "name": "test",
        "energyratestructure": energy,
        "energyweekdayschedule": [list(weekday or [0] * 24)] * 12,
        "energyweekendschedule": [list(weekend or weekday or [0] * 24)] * 12,
        **fields,
    }
    return urdb.to_tariff(rate=_with_decimals(rate))


def _with_decimals(rate: Any) -> Any:
    """Return the rate with every `"rate"` string as a decimal number, as JSON would give it."""
    text = json.dumps(rate)
    return json.loads(text, parse_float=decimal.Decimal, object_hook=_numbers)


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    names = {"rate", "adj", "max", "sell"}
    return {k: decimal.Decimal(v) if k in names and isinstance(v, str) else v for k, v in found.items()}


def lines_of(rated: bill.RatedBill, kind: bill.LineKind) -> list[tuple[str, str, int]]:
    """Return label, quantity and amount of the lines of a kind."""
    return [(line.label, str(line.quantity), line.amount_nano) for line in rated.lines if line.kind is kind]
