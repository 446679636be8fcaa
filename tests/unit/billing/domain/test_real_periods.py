"""Billing periods as they are: any length, leap days, the clock's changes; each amount worked out by hand."""

import datetime
import zoneinfo
from typing import Any

import pytest

from billing.domain import bill, loads, rating, terms
from tests.factories import rating as factory

MONTHLY: dict[str, Any] = {"fixedchargefirstmeter": 12, "fixedchargeunits": "$/month"}
DAILY: dict[str, Any] = {"fixedchargefirstmeter": 0.5, "fixedchargeunits": "$/day"}
YEARLY: dict[str, Any] = {"fixedchargefirstmeter": 120, "fixedchargeunits": "$/year"}
TIERS = [[{"rate": "0.10", "max": "500"}, {"rate": "0.20"}]]
CALENDAR, THIRTY = terms.Proration.CALENDAR, terms.Proration.THIRTY_DAYS


@pytest.mark.parametrize(
    ("days", "zone", "fields", "proration", "total"),
    [
        # One kW all the time at 10 cents, so a kWh an hour: 29 days of a leap February are 696 hours.
        (("2024-02-01", "2024-03-01"), "America/New_York", MONTHLY, CALENDAR, "81.60"),
        (("2023-02-01", "2023-03-01"), "America/New_York", MONTHLY, CALENDAR, "79.20"),
        # March has 743 hours where the clock goes forward, November 721 where it goes back.
        (("2024-03-01", "2024-04-01"), "America/New_York", MONTHLY, CALENDAR, "86.30"),
        (("2024-11-01", "2024-12-01"), "America/New_York", MONTHLY, CALENDAR, "84.10"),
        (("2024-03-01", "2024-04-01"), "America/Phoenix", MONTHLY, CALENDAR, "86.40"),
        # The day of 23 hours: 2.30 and a 31st of 12: 2.687…
        (("2024-03-10", "2024-03-11"), "America/New_York", MONTHLY, CALENDAR, "2.69"),
        (("2024-11-03", "2024-11-04"), "America/New_York", DAILY, CALENDAR, "3.00"),
        # Half an hour twice: 24.5 hours.
        (("2024-04-07", "2024-04-08"), "Australia/Lord_Howe", DAILY, CALENDAR, "2.95"),
        # 50 days, 1,199 hours: 119.90, and 12 x (10/29 + 1 + 9/30) = 19.737931…
        (("2024-02-20", "2024-04-10"), "America/New_York", MONTHLY, CALENDAR, "139.64"),
        (("2024-02-20", "2024-04-10"), "America/New_York", MONTHLY, THIRTY, "139.90"),
        (("2024-02-20", "2024-04-10"), "America/New_York", MONTHLY, terms.Proration.NONE, "131.90"),
        (("2024-02-20", "2024-04-10"), "America/New_York", DAILY, CALENDAR, "144.90"),
        # 27 days count as a whole month.
        (("2024-06-04", "2024-07-01"), "America/New_York", MONTHLY, CALENDAR, "76.80"),
        # A year of 366 days is one year: 8,784 hours and 120.
        (("2024-01-01", "2025-01-01"), "America/New_York", YEARLY, CALENDAR, "998.40"),
        (("2023-01-01", "2024-01-01"), "America/New_York", YEARLY, CALENDAR, "996.00"),
    ],
)
def test_a_period(
    days: tuple[str, str], zone: str, fields: dict[str, Any], proration: terms.Proration, total: str
) -> None:
    starts_on, ends_on = map(datetime.date.fromisoformat, days)
    period = loads.BillingPeriod(starts_on, ends_on, zoneinfo.ZoneInfo(zone))
    load = factory.flat_load(period=period, watt_hours=500, interval_seconds=1800)
    rated = rating.rate(
        tariff=factory.make_tariff(**fields), load=load, period=period, reading=terms.Terms(proration=proration)
    )
    assert f"{rated.total:.2f}" == total
    assert sum(line.amount_nano for line in rated.lines) == rated.total_nano


@pytest.mark.parametrize(
    ("ends_on", "first", "second"),
    [
        ("2024-06-16", 250, 110),  # 15 days: half of the 500, 360 kWh in all
        ("2024-07-01", 500, 220),  # the month: 720 kWh
        ("2024-07-16", 500 + 15 * 500 / 31, 1080 - 500 - 15 * 500 / 31),
    ],
)
def test_tiers_follow_the_length_of_the_period(ends_on: str, first: float, second: float) -> None:
    period = loads.BillingPeriod(datetime.date(2024, 6, 1), datetime.date.fromisoformat(ends_on), factory.NEW_YORK)
    rated = rating.rate(
        tariff=factory.make_tariff(energy=TIERS),
        load=factory.flat_load(period=period, watt_hours=1000),
        period=period,
    )
    low, high = (line for line in rated.lines if line.kind is bill.LineKind.ENERGY)
    assert (float(low.quantity), float(high.quantity)) == (pytest.approx(first), pytest.approx(second))
    assert low.quantity + high.quantity == period.days * 24


def test_the_parts_of_a_month_are_the_month() -> None:
    month = factory.months(year=2024, zone=factory.NEW_YORK)[1]
    load = factory.flat_load(period=month, watt_hours=1000)
    tariff = factory.make_tariff(energy=TIERS, **MONTHLY)
    whole = rating.rate(tariff=tariff, load=load, period=month).exact_nano
    moved = datetime.date(2024, 2, 11)
    parts = [
        rating.rate(tariff=tariff, load=load, period=loads.BillingPeriod(*days, factory.NEW_YORK))
        for days in ((month.starts_on, moved), (moved, month.ends_on))
    ]
    assert sum(part.usage.import_milliwh for part in parts) == 696_000_000
    assert abs(sum(part.exact_nano for part in parts) - whole) <= 204
    # A bound is whole mWh (a step of 10 cents: 100 nano-units each), each line whole nano-units.
