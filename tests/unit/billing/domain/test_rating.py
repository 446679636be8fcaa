"""Bills reckoned by hand, one rule each."""

import dataclasses
import datetime
import decimal
import fractions
import zoneinfo
from typing import Any

import numpy as np
import pytest

from billing.domain import bill, loads, rating, tariffs, terms
from tests.factories import rating as factory

NEW_YORK = factory.NEW_YORK
DOLLAR = 10**9
PEAK_HOURS = [0] * 17 + [1] * 4 + [0] * 3


def month(first: datetime.date, after: datetime.date, zone: zoneinfo.ZoneInfo = NEW_YORK) -> loads.BillingPeriod:
    return loads.BillingPeriod(first, after, zone)


JUNE = month(datetime.date(2026, 6, 1), datetime.date(2026, 7, 1))


@pytest.mark.parametrize(
    ("period", "hours"),
    [
        (month(datetime.date(2026, 3, 8), datetime.date(2026, 3, 9)), 23),
        (month(datetime.date(2026, 6, 1), datetime.date(2026, 6, 2)), 24),
        (month(datetime.date(2026, 11, 1), datetime.date(2026, 11, 2)), 25),
    ],
)
def test_day_has_the_hours_that_its_clocks_say(period: loads.BillingPeriod, hours: int) -> None:
    rated = rating.rate(
        tariff=factory.make_tariff(energy=[[{"rate": "0.10"}]]),
        load=factory.flat_load(period=period, watt_hours=250, interval_seconds=900),
        period=period,
    )

    assert rated.usage.import_milliwh == hours * 1_000_000
    assert rated.total == decimal.Decimal(hours) / 10


def test_peak_hours_stand_still_on_the_clock_when_the_sun_does_not() -> None:
    week = month(datetime.date(2026, 3, 2), datetime.date(2026, 3, 16))  # clocks change on the 8th

    rated = rating.rate(
        tariff=factory.make_tariff(
            weekday=PEAK_HOURS, weekend=[0] * 24, energy=[[{"rate": "0.10"}], [{"rate": "0.50"}]]
        ),
        load=factory.flat_load(period=week, watt_hours=1000),
        period=week,
    )

    assert factory.lines_of(rated, bill.LineKind.ENERGY) == [
        ("Energy, weekdays 0-17 and 21-24 h, weekends all day", "295", 295 * DOLLAR // 10),
        ("Energy, weekdays 17-21 h", "40", 20 * DOLLAR),
    ]


def test_holiday_is_billed_as_a_weekend() -> None:
    rated = rating.rate(
        tariff=factory.make_tariff(weekday=PEAK_HOURS, weekend=[0] * 24, energy=[[{"rate": "0"}], [{"rate": "1"}]]),
        load=factory.flat_load(period=JUNE, watt_hours=1000),
        period=JUNE,
        reading=terms.Terms(holidays=frozenset({datetime.date(2026, 6, 19)})),
    )

    assert rated.total == (22 - 1) * 4


def test_tiers_fill_on_the_total_and_periods_take_their_share() -> None:
    tiers = [[{"rate": "0.10", "max": "300"}, {"rate": "0.20"}], [{"rate": "0.30", "max": "300"}, {"rate": "0.40"}]]
    load = factory.flat_load(period=JUNE, watt_hours=1000)

    shared = rating.rate(tariff=factory.make_tariff(weekday=PEAK_HOURS, energy=tiers), load=load, period=JUNE)

    # 720 kWh, 120 of them in peak hours; 300 / 720 of each period is in the first tier.
    assert [(line.period, line.tier, line.quantity) for line in shared.lines if line.tier is not None] == [
        (0, 0, decimal.Decimal(250)),
        (0, 1, decimal.Decimal(350)),
        (1, 0, decimal.Decimal(50)),
        (1, 1, decimal.Decimal(70)),
    ]
    assert shared.total == 25 + 70 + 15 + 28


def test_tiers_of_each_period_where_the_tariff_says_so() -> None:
    tiers = [[{"rate": "0.10", "max": "300"}, {"rate": "0.20"}], [{"rate": "0.30", "max": "300"}, {"rate": "0.40"}]]
    tariff = dataclasses.replace(
        factory.make_tariff(weekday=PEAK_HOURS, energy=tiers), tier_allocation=tariffs.TierAllocation.EACH_PERIOD
    )

    rated = rating.rate(tariff=tariff, load=factory.flat_load(period=JUNE, watt_hours=1000), period=JUNE)

    assert rated.total == 30 + 60 + 36


def test_bounds_per_day_follow_the_days() -> None:
    tiers = [[{"rate": "0.10", "max": "10", "unit": "kWh daily"}, {"rate": "0.20", "unit": "kWh daily"}]]

    rated = rating.rate(
        tariff=factory.make_tariff(energy=tiers), load=factory.flat_load(period=JUNE, watt_hours=1000), period=JUNE
    )

    assert rated.total == 30 + 84


def test_kwh_steps_end_with_their_block_and_the_rest_stays_priced() -> None:
    tiers = [[{"rate": "9", "max": "100", "unit": "kWh/kW"}, {"rate": "0.10", "max": "50"}, {"rate": "0.05"}]]
    load = factory.flat_load(period=JUNE, watt_hours=1000)

    worded = rating.rate(tariff=factory.make_tariff(energy=tiers), load=load, period=JUNE)
    reference = rating.rate(
        tariff=factory.make_tariff(energy=tiers), load=load, period=JUNE, reading=terms.AS_REFERENCE
    )

    assert worded.total == 5 + decimal.Decimal("33.50")
    assert reference.total == 5 + decimal.Decimal("2.50")


def test_period_over_two_months_is_one_month_of_charges_in_shares() -> None:
    period = month(datetime.date(2026, 5, 12), datetime.date(2026, 6, 11))  # 20 days of May, 10 of June
    fields: dict[str, Any] = {
        "fixedchargefirstmeter": 30,
        "fixedchargeunits": "$/month",
        "flatdemandstructure": [[{"rate": "3"}], [{"rate": "6"}]],
        "flatdemandmonths": [0] * 5 + [1] * 7,
    }

    rated = rating.rate(
        tariff=factory.make_tariff(energy=[[{"rate": "0"}]], **fields),
        load=factory.flat_load(period=period, watt_hours=10_000),
        period=period,
    )

    assert factory.lines_of(rated, bill.LineKind.FIXED) == [("Customer charge", "1", 30 * DOLLAR)]
    assert [(line.factor, line.amount_nano) for line in rated.lines if line.kind is bill.LineKind.DEMAND_FLAT] == [
        (fractions.Fraction(2, 3), 20 * DOLLAR),
        (fractions.Fraction(1, 3), 20 * DOLLAR),
    ]


@pytest.mark.parametrize(
    ("proration", "total"),
    [
        (terms.Proration.CALENDAR, decimal.Decimal("10.00")),
        (terms.Proration.THIRTY_DAYS, decimal.Decimal("10.00")),
        (terms.Proration.NONE, decimal.Decimal("30.00")),
    ],
)
def test_move_in_is_prorated_as_the_utility_says(proration: terms.Proration, total: decimal.Decimal) -> None:
    period = month(datetime.date(2026, 6, 21), datetime.date(2026, 7, 1))

    rated = rating.rate(
        tariff=factory.make_tariff(energy=[[{"rate": "0"}]], fixedchargefirstmeter=30, fixedchargeunits="$/month"),
        load=factory.flat_load(period=period, watt_hours=1),
        period=period,
        reading=terms.Terms(proration=proration),
    )

    assert rated.total == total


def test_fixed_charges_by_day_and_for_more_meters() -> None:
    rated = rating.rate(
        tariff=factory.make_tariff(
            energy=[[{"rate": "0"}]], fixedchargefirstmeter=1.5, fixedchargeeaaddl=0.5, fixedchargeunits="$/day"
        ),
        load=factory.flat_load(period=JUNE, watt_hours=1),
        period=JUNE,
        reading=terms.Terms(meters=3),
    )

    assert factory.lines_of(rated, bill.LineKind.FIXED) == [
        ("Customer charge", "30", 45 * DOLLAR),
        ("Additional meters", "60", 30 * DOLLAR),
    ]


def test_minimum_adds_what_is_missing_and_no_more() -> None:
    tariff = factory.make_tariff(energy=[[{"rate": "0.10"}]], mincharge=100, minchargeunits="$/month")

    below = rating.rate(tariff=tariff, load=factory.flat_load(period=JUNE, watt_hours=1000), period=JUNE)
    above = rating.rate(tariff=tariff, load=factory.flat_load(period=JUNE, watt_hours=2000), period=JUNE)

    assert factory.lines_of(below, bill.LineKind.MINIMUM) == [("Minimum charge per month", "1", 28 * DOLLAR)]
    assert (below.total, above.total) == (100, 144)


def test_yearly_minimum_falls_due_in_the_last_period() -> None:
    tariff = factory.make_tariff(energy=[[{"rate": "0.10"}]], mincharge=1000, minchargeunits="$/year")
    load = factory.flat_load(period=JUNE, watt_hours=1000)

    before = rating.rate(tariff=tariff, load=load, period=JUNE)
    last = rating.rate(
        tariff=tariff,
        load=load,
        period=JUNE,
        history=rating.History(billed_in_year_nano=900 * DOLLAR, ends_year=True),
    )

    assert (before.total, last.total) == (72, 100)


def test_fuel_adjustment_is_the_months() -> None:
    period = month(datetime.date(2026, 5, 16), datetime.date(2026, 6, 16))

    rated = rating.rate(
        tariff=factory.make_tariff(
            energy=[[{"rate": "0"}]], fueladjustmentsmonthly=[0, 0, 0, 0, 0.01, -0.02, 0, 0, 0, 0, 0, 0]
        ),
        load=factory.flat_load(period=period, watt_hours=1000),
        period=period,
    )

    assert factory.lines_of(rated, bill.LineKind.FUEL_ADJUSTMENT) == [
        ("Fuel adjustment, month 5", "384", 3_840_000_000),
        ("Fuel adjustment, month 6", "360", -7_200_000_000),
    ]


@pytest.mark.parametrize(
    ("rounding", "difference"),
    [(bill.Rounding.BILL, 1_998_400), (bill.Rounding.LINE, -8_001_600), (bill.Rounding.COMPONENT, 1_998_400)],
)
def test_rounding_is_a_line_of_its_own(rounding: bill.Rounding, difference: int) -> None:
    # 600 kWh and 120 kWh for less than half a cent each, and for more than half a cent together.
    tariff = factory.make_tariff(
        weekday=PEAK_HOURS,
        energy=[[{"rate": "0.00000667"}], [{"rate": "0.00003333"}]],
    )

    rated = rating.rate(
        tariff=tariff,
        load=factory.flat_load(period=JUNE, watt_hours=1000),
        period=JUNE,
        reading=terms.Terms(rounding=rounding),
    )

    assert rated.exact_nano == 4_002_000 + 3_999_600
    assert rated.total_nano % 10_000_000 == 0
    assert rated.total_nano - rated.exact_nano == difference


def test_bill_with_a_gap_is_refused_with_the_gap_named() -> None:
    whole = factory.flat_load(period=JUNE, watt_hours=1000)
    keep = np.arange(len(whole)) != 100
    holed = loads.IntervalSeries(
        starts=whole.starts[keep], seconds=whole.seconds[keep], import_milliwh=whole.import_milliwh[keep]
    )

    with pytest.raises(rating.UnableToRate) as caught:
        rating.rate(tariff=factory.make_tariff(), load=holed, period=JUNE)

    assert caught.value.code == "load_has_gaps"
    assert caught.value.detail == (
        "The load covers 43140 of 43200 minutes of 2026-06-01 to 2026-07-01; the first gap is at "
        "2026-06-05T04:00:00-04:00."
    )
    assert (
        rating.rate(
            tariff=factory.make_tariff(), load=holed, period=JUNE, reading=terms.Terms(allow_gaps=True)
        ).usage.import_milliwh
        == 719_000_000
    )


def test_intervals_longer_than_an_hour_do_not_meet_hourly_prices() -> None:
    load = factory.flat_load(period=JUNE, watt_hours=1000, interval_seconds=7200)

    with pytest.raises(rating.UnableToRate, match="Intervals of 120 minutes"):
        rating.rate(
            tariff=factory.make_tariff(weekday=PEAK_HOURS, energy=[[{"rate": "1"}], [{"rate": "2"}]]),
            load=load,
            period=JUNE,
        )
    assert rating.rate(tariff=factory.make_tariff(), load=load, period=JUNE).total == 36


def test_charges_that_cannot_be_priced_are_named() -> None:
    rated = rating.rate(
        tariff=factory.make_tariff(
            demandreactivepowercharge=0.5,
            coincidentratestructure=[[{"rate": 5}]],
            coincidentschedule=[[0] * 24] * 12,
            flatdemandstructure=[[{"rate": "1"}]],
            flatdemandmonths=[0] * 12,
            demandwindow=15,
        ),
        load=factory.flat_load(period=JUNE, watt_hours=1000),
        period=JUNE,
    )

    assert [omission.partition(":")[0] for omission in rated.omissions] == [
        "Coincident demand",
        "Reactive demand",
        "Demand window",
    ]


def test_kwh_left_over_go_to_the_same_hours_of_the_next_month() -> None:
    tariff = factory.make_tariff(
        energy=[[{"rate": "0.1"}], [{"rate": "0.2"}]],
        energyweekdayschedule=[[0] * 24] * 6 + [[1] * 24] * 6,
        energyweekendschedule=[[0] * 24] * 6 + [[1] * 24] * 6,
    )
    july = month(datetime.date(2026, 7, 1), datetime.date(2026, 8, 1))
    sunny = factory.flat_load(period=JUNE, watt_hours=1000)
    gave = loads.IntervalSeries(
        starts=sunny.starts,
        seconds=sunny.seconds,
        import_milliwh=sunny.import_milliwh,
        export_milliwh=sunny.import_milliwh + 500_000,
    )

    june_bill = rating.rate(tariff=tariff, load=gave, period=JUNE)
    july_bill = rating.rate(
        tariff=tariff,
        load=factory.flat_load(period=july, watt_hours=1000),
        period=july,
        history=rating.follow(history=rating.History(), rated=june_bill, ends_year=False),
    )

    assert (june_bill.total, june_bill.carried_milliwh) == (0, ((0, 360_000_000),))
    assert july_bill.total == (744 - 360) * decimal.Decimal("0.2")


@pytest.mark.parametrize(
    ("fields", "metering"),
    [
        ({}, tariffs.Metering.NET_METERING),
        ({"usenetmetering": True}, tariffs.Metering.NET_METERING),
        ({"usenetmetering": False}, tariffs.Metering.NET_BILLING),
        ({"usenetmetering": False, "dgrules": "Net Metering"}, tariffs.Metering.NET_METERING),
        ({"usenetmetering": True, "dgrules": "Buy All Sell All"}, tariffs.Metering.BUY_ALL_SELL_ALL),
    ],
)
def test_sheets_older_than_dgrules_say_whether_a_month_is_netted(
    fields: dict[str, Any], metering: tariffs.Metering
) -> None:
    assert factory.make_tariff(**fields).metering is metering
