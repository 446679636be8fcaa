"""Fees to the base unit, and prices that a chain takes."""

import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayer.domain import fees, gas

PRICES = fees.GasPrices(max_fee_per_gas_wei=300, max_priority_fee_per_gas_wei=100, expected_wei=200)


@pytest.mark.parametrize(
    ("token_usd", "decimals", "units"),
    [
        ("1", 6, 720_000),  # 200,000 gas * 1 gwei * 1.2 * 3,000 USD = 0.72 USD
        ("0.05", 18, 14_400_000_000_000_000_000),  # 0.72 USD in tokens of five cents
        ("0.7", 6, 1_028_572),  # 1.0285714... rounds up
        ("1000000", 0, 1),  # never nothing
    ],
)
def test_a_fee_is_gas_times_price_times_rate_with_margin_rounded_up(token_usd: str, decimals: int, units: int) -> None:
    fee = fees.fee_units(
        gas=200_000,
        price_wei=10**9,
        margin_percent=20,
        native_usd=decimal.Decimal(3000),
        token_usd=decimal.Decimal(token_usd),
        token_decimals=decimals,
    )
    assert fee == units


@given(
    gas_used=st.integers(1, 10**8),
    price_wei=st.integers(1, 10**13),
    margin=st.integers(0, 200),
    native=st.decimals("0.000000000001", "1000000", places=12),
    token=st.decimals("0.000000000001", "1000000", places=12),
    places=st.integers(0, 36),
)
def test_a_fee_covers_its_cost_and_is_less_than_a_unit_above(
    *, gas_used: int, price_wei: int, margin: int, native: decimal.Decimal, token: decimal.Decimal, places: int
) -> None:
    fee = fees.fee_units(
        gas=gas_used,
        price_wei=price_wei,
        margin_percent=margin,
        native_usd=native,
        token_usd=token,
        token_decimals=places,
    )
    scale = 10**12
    cost = gas_used * price_wei * (100 + margin) * int(native * scale) * 10**places
    per_unit = 100 * 10**18 * int(token * scale)
    assert (fee - 1) * per_unit < cost <= fee * per_unit


def test_prices_are_twice_the_base_fee_and_the_median_tip() -> None:
    asked = fees.prices_from(base_fee_wei=1000, tips_wei=(5, 900, 7), least_tip_wei=1)
    assert asked == fees.GasPrices(max_fee_per_gas_wei=2007, max_priority_fee_per_gas_wei=7, expected_wei=1007)
    quiet = fees.prices_from(base_fee_wei=7, tips_wei=(0, 0), least_tip_wei=100)
    assert quiet == fees.GasPrices(max_fee_per_gas_wei=114, max_priority_fee_per_gas_wei=100, expected_wei=107)


@given(old_max=st.integers(0, 10**15), old_tip=st.integers(0, 10**15))
def test_a_replacement_offers_at_least_a_tenth_more_of_both(old_max: int, old_tip: int) -> None:
    new = fees.replacing(prices=PRICES, old_max_fee_wei=old_max, old_tip_wei=old_tip)
    assert new.max_fee_per_gas_wei * 10 >= old_max * 11
    assert new.max_priority_fee_per_gas_wei * 10 >= old_tip * 11
    assert new.max_fee_per_gas_wei >= max(PRICES.max_fee_per_gas_wei, new.max_priority_fee_per_gas_wei)


def test_after_a_spike_the_price_is_what_the_chain_asks_for_again() -> None:
    spike = fees.prices_from(base_fee_wei=10**12, tips_wei=(), least_tip_wei=1)
    after = fees.prices_from(base_fee_wei=10, tips_wei=(), least_tip_wei=1)
    assert (spike.max_fee_per_gas_wei, after.max_fee_per_gas_wei) == (2 * 10**12 + 1, 21)


@pytest.mark.parametrize("is_deployed", [True, False])
@pytest.mark.parametrize("kind", list(gas.Kind))
def test_what_is_expected_lies_below_what_is_allowed(kind: gas.Kind, is_deployed: bool) -> None:
    for recipients in (1, 10, 100):
        limits = gas.estimate(kind=kind, is_deployed=is_deployed, recipients=recipients)
        assert 0 < limits.expected < limits.total
