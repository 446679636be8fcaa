"""Performance and payout against sums that were worked out by hand."""

import decimal
import fractions

import pytest

from programs.domain import earnings

D = decimal.Decimal
F = fractions.Fraction


def test_a_battery_that_discharges_performs_what_it_gave_and_what_it_did_not_take() -> None:
    # Baseline 25 Wh a quarter; it gave 600, 610, 605 and 585 Wh: 100 - (-2400) = 2500 Wh.
    done = earnings.perform(baseline_wh=(F(25),) * 4, actual_wh=(-600, -610, -605, -585))
    assert (done.baseline_wh, done.actual_wh, done.performance_wh) == (F(100), -2400, F(2500))


def test_a_thermostat_that_uses_less_performs_the_difference() -> None:
    done = earnings.perform(baseline_wh=(F(750),) * 4, actual_wh=(500, 500, 500, 500))
    assert done.performance_wh == F(1000)


def test_intervals_above_the_baseline_count_against_those_below() -> None:
    done = earnings.perform(baseline_wh=(F(100), F(100)), actual_wh=(40, 130))
    assert done.performance_wh == F(30)


def test_an_interval_that_was_not_measured_performs_nothing() -> None:
    done = earnings.perform(baseline_wh=(F(100), F(100)), actual_wh=(40, None))
    assert (done.performance_wh, done.measured) == (F(60), 1)


@pytest.mark.parametrize(
    ("wh", "rate", "decimals", "units"),
    [
        (F(2500), D("2"), 6, 5_000_000),
        (F(1001, 10), D("1.25"), 6, 125_125),
        # 1/3 kWh at 1 dollar is 333333.33… units: down.
        (F(1000, 3), D("1"), 6, 333_333),
        # 0.999999 of a unit is none.
        (F(999_999, 10**6) / 1000, D("1"), 6, 0),
        (F(1), D("0.001"), 6, 1),
        (F(0), D("2"), 6, 0),
        (F(-2500), D("2"), 6, 0),
        (F(1), D("2"), 18, 2 * 10**15),
    ],
)
def test_a_payout_is_rounded_down_once(
    wh: fractions.Fraction, rate: decimal.Decimal, decimals: int, units: int
) -> None:
    assert earnings.payout_units(performance_wh=wh, payout_usd_per_kwh=rate, token_decimals=decimals) == units
