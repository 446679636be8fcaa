"""Charges for power reckoned by hand: steps, windows, ratchets, system peaks, reactive demand."""

import datetime
import zoneinfo
from typing import Any

import numpy as np

from billing.domain import bill, demand, loads, rating, terms
from tests.factories import rating as factory

NEW_YORK = factory.NEW_YORK
DOLLAR = 10**9
PEAK_HOURS = [0] * 17 + [1] * 4 + [0] * 3


def month(first: datetime.date, after: datetime.date, zone: zoneinfo.ZoneInfo = NEW_YORK) -> loads.BillingPeriod:
    return loads.BillingPeriod(first, after, zone)


JUNE = month(datetime.date(2026, 6, 1), datetime.date(2026, 7, 1))


def test_hours_of_use_follow_the_demand() -> None:
    tiers = [[{"rate": "0.10", "max": "200", "unit": "kWh/kW"}, {"rate": "0.05", "unit": "kWh/kW"}]]

    rated = rating.rate(
        tariff=factory.make_tariff(energy=tiers), load=factory.flat_load(period=JUNE, watt_hours=2000), period=JUNE
    )

    # 2 kW for 720 h: the first 200 h x 2 kW, then the rest.
    assert rated.total == 40 + 52


def test_demand_is_the_highest_quarter_hour_or_window() -> None:
    load = factory.flat_load(period=JUNE, watt_hours=250, interval_seconds=900)
    energy = load.import_milliwh.copy()
    energy[1000], energy[1001] = 3_000_000, 1_000_000  # 12 kW, then 4 kW, in one half hour
    peaky = loads.IntervalSeries(starts=load.starts, seconds=load.seconds, import_milliwh=energy)
    fields: dict[str, Any] = {"flatdemandstructure": [[{"rate": "10"}]], "flatdemandmonths": [0] * 12}

    quarter = rating.rate(tariff=factory.make_tariff(energy=[[{"rate": "0"}]], **fields), load=peaky, period=JUNE)
    half = rating.rate(
        tariff=factory.make_tariff(energy=[[{"rate": "0"}]], demandwindow=30, **fields), load=peaky, period=JUNE
    )

    assert (quarter.total, half.total) == (120, 80)
    assert quarter.usage.peak_milliw == 12_000_000


def test_demand_steps_and_time_of_use_demand() -> None:
    load = factory.flat_load(period=JUNE, watt_hours=10_000)
    energy = load.import_milliwh.copy()
    energy[17 + 24] = 25_000_000  # 17:00 on Tuesday the 2nd
    fields: dict[str, Any] = {
        "flatdemandstructure": [[{"rate": "1", "max": "20"}, {"rate": "2"}]],
        "flatdemandmonths": [0] * 12,
        "demandratestructure": [[{"rate": "3"}], [{"rate": "4", "adj": "1"}]],
        "demandweekdayschedule": [PEAK_HOURS] * 12,
        "demandweekendschedule": [[0] * 24] * 12,
    }

    rated = rating.rate(
        tariff=factory.make_tariff(energy=[[{"rate": "0"}]], **fields),
        load=loads.IntervalSeries(starts=load.starts, seconds=load.seconds, import_milliwh=energy),
        period=JUNE,
    )

    assert factory.lines_of(rated, bill.LineKind.DEMAND_FLAT) == [
        ("Demand, step 1", "20", 20 * DOLLAR),
        ("Demand, step 2", "5", 10 * DOLLAR),
    ]
    assert factory.lines_of(rated, bill.LineKind.DEMAND_TOU) == [
        ("Demand, period 1", "10", 30 * DOLLAR),
        ("Demand, period 2", "25", 125 * DOLLAR),
    ]


def test_ratchet_bills_at_least_its_percentage_of_the_highest_month_before() -> None:
    fields: dict[str, Any] = {
        "flatdemandstructure": [[{"rate": "10"}]],
        "flatdemandmonths": [0] * 12,
        "lookbackpercent": 0.8,
        "lookbackmonths": [True] * 12,
        "lookbackrange": 0,
    }
    tariff = factory.make_tariff(energy=[[{"rate": "0"}]], **fields)
    load = factory.flat_load(period=JUNE, watt_hours=10_000)

    alone = rating.rate(tariff=tariff, load=load, period=JUNE)
    after = rating.rate(
        tariff=tariff,
        load=load,
        period=JUNE,
        history=rating.History(peaks=(demand.PastPeak(2025, 7, 20_000_000), demand.PastPeak(2025, 6, 90_000_000))),
    )

    assert (alone.total, after.total) == (100, 160)


def test_coincident_demand_is_taken_at_the_utilitys_peak() -> None:
    load = factory.flat_load(period=JUNE, watt_hours=5_000)
    energy = load.import_milliwh.copy()
    energy[17 + 24 * 9] = 8_000_000  # 17:00 on Wednesday the 10th
    peaks = frozenset({datetime.datetime(2026, 6, 10, 17, 30, tzinfo=NEW_YORK)})

    rated = rating.rate(
        tariff=factory.make_tariff(
            energy=[[{"rate": "0"}]],
            coincidentratestructure=[[{"rate": "5"}]],
            coincidentschedule=[[0] * 24] * 12,
        ),
        load=loads.IntervalSeries(starts=load.starts, seconds=load.seconds, import_milliwh=energy),
        period=JUNE,
        reading=terms.Terms(system_peaks=peaks),
    )

    assert factory.lines_of(rated, bill.LineKind.DEMAND_COINCIDENT) == [
        ("Demand at the system peak of 2026-06-10 17:30 EDT", "8", 40 * DOLLAR)
    ]
    assert rated.omissions == ()


def test_reactive_demand_is_the_highest_of_the_period() -> None:
    load = factory.flat_load(period=JUNE, watt_hours=5_000)
    reactive = np.full(len(load), 1_000_000)
    reactive[100] = 3_500_000

    rated = rating.rate(
        tariff=factory.make_tariff(energy=[[{"rate": "0"}]], demandreactivepowercharge=0.6),
        load=loads.IntervalSeries(
            starts=load.starts, seconds=load.seconds, import_milliwh=load.import_milliwh, reactive_millivarh=reactive
        ),
        period=JUNE,
    )

    assert factory.lines_of(rated, bill.LineKind.REACTIVE) == [("Reactive demand", "3.5", 2_100_000_000)]
    assert rated.omissions == ()


def test_ratchet_counts_the_month_in_which_a_mid_month_period_ends() -> None:
    tariff = factory.make_tariff(
        energy=[[{"rate": "0"}]],
        flatdemandstructure=[[{"rate": "10"}]],
        flatdemandmonths=[0] * 12,
        lookbackpercent=0.8,
        lookbackmonths=[True] * 12,
        lookbackrange=1,
    )
    first = month(datetime.date(2026, 5, 12), datetime.date(2026, 6, 11))
    second = month(datetime.date(2026, 6, 11), datetime.date(2026, 7, 11))
    high = rating.rate(tariff=tariff, load=factory.flat_load(period=first, watt_hours=20_000), period=first)

    low = rating.rate(
        tariff=tariff,
        load=factory.flat_load(period=second, watt_hours=10_000),
        period=second,
        history=rating.follow(history=rating.History(), rated=high, ends_year=False),
    )

    assert (high.total, low.total) == (200, 160)


def test_a_ratchet_by_month_is_named_and_not_priced() -> None:
    assert factory.make_tariff(demandratchetpercentage=[0.0] * 12).warnings == ()
    assert factory.make_tariff(demandratchetpercentage=[0.0] * 11 + [0.8]).warnings == (
        "`demandratchetpercentage` is not priced.",
    )
