"""Shares sum to the target within what devices can give."""

import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from programs.domain import shares

D = decimal.Decimal


def test_shares_follow_available_power() -> None:
    # 6 kW over 5, 3 and 4 kW: 2.5, 1.5 and 2.
    assert shares.apportion(target_kw=D("6"), available={"a": D("5"), "b": D("3"), "c": D("4")}) == {
        "a": D("2.5"),
        "b": D("1.5"),
        "c": D("2"),
    }


def test_the_left_watt_goes_to_the_largest_remainder() -> None:
    # 1 kW over 1, 2 and 4 kW: 142.86, 285.71 and 571.43 W. Rounded down 998 W; the two left go to .86 and .71.
    assert shares.apportion(target_kw=D("1"), available={"a": D("1"), "b": D("2"), "c": D("4")}) == {
        "a": D("0.143"),
        "b": D("0.286"),
        "c": D("0.571"),
    }


def test_a_tie_goes_to_the_device_named_first() -> None:
    # 1 W over two equal devices.
    assert shares.apportion(target_kw=D("0.001"), available={"a": D("2"), "b": D("2")}) == {"a": D("0.001")}


def test_a_target_above_what_there_is_asks_everybody_for_all() -> None:
    assert shares.apportion(target_kw=D("9"), available={"a": D("5"), "b": D("3")}) == {"a": D("5"), "b": D("3")}


def test_a_target_of_exactly_what_there_is_asks_everybody_for_all() -> None:
    assert shares.apportion(target_kw=D("8"), available={"a": D("5"), "b": D("3")}) == {"a": D("5"), "b": D("3")}


@pytest.mark.parametrize("target", [D("0"), D("-1"), D("0.0005")])
def test_a_target_that_is_not_whole_watts_is_refused(target: decimal.Decimal) -> None:
    with pytest.raises(ValueError, match="whole watts"):
        shares.apportion(target_kw=target, available={"a": D("5")})


@given(
    target_w=st.integers(1, 10**7),
    available_w=st.lists(st.integers(1, 50_000), min_size=1, max_size=60),
)
def test_any_shares_sum_to_the_target_within_capability(target_w: int, available_w: list[int]) -> None:
    available = {index: D(w) / 1000 for index, w in enumerate(available_w)}
    given_shares = shares.apportion(target_kw=D(target_w) / 1000, available=available)
    assert sum(given_shares.values()) == min(D(target_w) / 1000, sum(available.values()))
    assert all(0 < kw <= available[index] for index, kw in given_shares.items())


def test_a_battery_holds_what_its_energy_allows() -> None:
    # 13.5 kWh over 4 hours is 3.375 kW, below its 5 kW; over 2 hours its power is the bound.
    assert shares.available_kw(power_kw=D("5"), energy_kwh=D("13.5"), hours=D("4")) == D("3.375")
    assert shares.available_kw(power_kw=D("5"), energy_kwh=D("13.5"), hours=D("2")) == D("5.000")


def test_available_power_is_rounded_down_to_the_watt() -> None:
    # 10 kWh over 3 hours is 3.3333… kW.
    assert shares.available_kw(power_kw=D("5"), energy_kwh=D("10"), hours=D("3")) == D("3.333")


def test_a_device_without_storage_holds_its_power() -> None:
    assert shares.available_kw(power_kw=D("1.2"), energy_kwh=None, hours=D("8")) == D("1.200")
