"""Real-time prices: each interval at its own, exact to the nano-unit; and what is not priced is refused."""

import datetime
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain import batch, bill, loads, rating, real_time, terms
from tests.factories import rating as factory

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
READING = terms.Terms(real_time_index="DAY-AHEAD")
FREE = factory.make_tariff(energy=[[{"rate": "0"}]])
DAY = loads.BillingPeriod(datetime.date(2024, 3, 10), datetime.date(2024, 3, 11), factory.NEW_YORK)  # 23 hours


def hourly(nano: list[int]) -> real_time.Prices:
    starts = DAY.starts + 3600 * np.arange(len(nano), dtype=np.int64)
    return real_time.Prices(starts, np.full(len(nano), 3600, dtype=np.int64), np.array(nano, dtype=np.int64))


def test_each_quarter_hour_costs_the_price_of_its_hour() -> None:
    load = factory.flat_load(period=DAY, watt_hours=500, interval_seconds=900)
    priced = real_time.with_prices(load=load, prices=hourly([hour * 10_000_000 for hour in range(23)]))
    rated = rating.rate(tariff=FREE, load=priced, period=DAY, reading=READING)
    (line,) = [line for line in rated.lines if line.kind is bill.LineKind.REAL_TIME]
    # 2 kWh an hour at 0, 1, … 22 cents: 2 x 253 cents for 46 kWh, 11 cents on average.
    assert (line.amount_nano, line.quantity, line.unit_price_nano) == (5_060_000_000, 46, 110_000_000)
    assert rated.total_nano == 5_060_000_000


def test_what_is_given_earns_the_price_of_its_interval_and_negative_prices_cost() -> None:
    load = factory.flat_load(period=DAY, watt_hours=1000)
    given_ = np.zeros(23, dtype=np.int64)
    given_[0], given_[1] = 3_000_000, 3_000_000
    both = loads.IntervalSeries(load.starts, load.seconds, load.import_milliwh, given_)
    priced = real_time.with_prices(load=both, prices=hourly([-50_000_000, 100_000_000] + [0] * 21))
    taken, earned = real_time.lines(load=priced, index="DAY-AHEAD")
    assert (taken.amount_nano, earned.amount_nano) == (50_000_000, -150_000_000)


@pytest.mark.parametrize("prices", [[], [0] * 22])
def test_an_interval_without_a_price(prices: list[int]) -> None:
    load = factory.flat_load(period=DAY, watt_hours=1000)
    with pytest.raises(real_time.Unpriced):
        real_time.with_prices(load=load, prices=hourly(prices))
    with pytest.raises(rating.UnableToRate) as refusal:
        rating.rate(tariff=FREE, load=load, period=DAY, reading=READING)
    assert refusal.value.code == "no_real_time_price"
    assert not batch.can_rate(tariff=FREE, reading=READING)


@given(
    seed=st.integers(0, 2**32 - 1),
    most_wh=st.sampled_from([1, 1000, 10**9]),
    dearest=st.sampled_from([1, 10**8, 10**10]),
    is_odd=st.booleans(),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_amount_is_the_exact_sum(seed: int, most_wh: int, dearest: int, *, is_odd: bool) -> None:
    numbers = np.random.default_rng(seed)
    wh = numbers.integers(0, most_wh, 23, endpoint=True).tolist()
    nano = numbers.integers(-dearest // 10, dearest, 23, endpoint=True).tolist()
    if is_odd:  # all of it in one interval, at either end of what a price can be
        wh, nano[int(numbers.integers(23))] = [0] * 22 + [most_wh], -dearest
    load = loads.IntervalSeries(
        DAY.starts + 3600 * np.arange(23, dtype=np.int64),
        np.full(23, 3600, dtype=np.int64),
        np.array(wh, dtype=np.int64) * 1000,
    )
    exact = sum(energy * price for energy, price in zip(wh, nano, strict=True)) / 1000
    for line in real_time.lines(load=real_time.with_prices(load=load, prices=hourly(nano)), index="X"):
        assert isinstance(line.amount_nano, int)
        assert abs(line.amount_nano - exact) <= max(1, abs(exact) / 10**12)
        product = line.quantity * line.unit_price_nano * line.factor.numerator / line.factor.denominator
        assert abs(product - line.amount_nano) <= max(1, abs(line.amount_nano) // 10**20)
        assert max(abs(line.factor.numerator), line.factor.denominator) < 2**63
