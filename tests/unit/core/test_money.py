"""Base units: exact, fees up, payouts down."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvpp.core import money


def test_whole_units_are_exact() -> None:
    assert money.to_units(amount=Decimal("12.345678"), decimals=6) == 12345678
    assert money.from_units(units=12345678, decimals=6) == Decimal("12.345678")


def test_more_places_than_the_token_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 6 decimal places"):
        money.to_units(amount=Decimal("0.0000001"), decimals=6)


def test_fee_rounds_up_and_payout_down() -> None:
    amount = Decimal("0.0000015")
    assert money.to_units_rounded_up(amount=amount, decimals=6) == 2
    assert money.to_units_rounded_down(amount=amount, decimals=6) == 1


@given(units=st.integers(min_value=0, max_value=2**96), decimals=st.integers(min_value=0, max_value=18))
def test_units_survive_the_way_there_and_back(units: int, decimals: int) -> None:
    if units < 10**27:  # Decimal's default precision is 28 digits
        assert money.to_units(amount=money.from_units(units=units, decimals=decimals), decimals=decimals) == units


@given(numerator=st.integers(min_value=0, max_value=2**200), denominator=st.integers(min_value=1, max_value=2**100))
def test_ceil_div_is_the_least_that_covers(numerator: int, denominator: int) -> None:
    result = money.ceil_div(numerator, denominator)
    assert result * denominator >= numerator > (result - 1) * denominator
