"""Net metering over years: what is carried, what the true-up pays, and that no kWh is made or lost."""

import datetime
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain import batch, bill, loads, rating, terms
from tests.factories import rating as factory

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
YEAR = factory.months(year=2025, zone=factory.NEW_YORK)
TARIFF = factory.make_tariff(dgrules="Net Metering")
NOON = factory.make_tariff(weekday=[0] * 12 + [1] * 12, weekend=[0] * 24, energy=[[{"rate": "0.1"}], [{"rate": "0.3"}]])


def load_of(period: loads.BillingPeriod, taken_wh: int, given_wh: int) -> loads.IntervalSeries:
    taken = factory.flat_load(period=period, watt_hours=taken_wh)
    given_ = factory.flat_load(period=period, watt_hours=given_wh).import_milliwh
    return loads.IntervalSeries(taken.starts, taken.seconds, taken.import_milliwh, given_)


def test_a_surplus_is_carried_then_paid_at_the_true_up() -> None:
    reading = terms.Terms(true_up_month=6, cash_out_nano_per_kwh=30_000_000)
    history = rating.History()
    # A surplus of 0.1 kW in May (744 hours) and in June (720): 74.4 kWh carried, then 146.4 kWh at 3 cents.
    for month, carried, amount in ((4, 74_400_000, 0), (5, 0, -4_392_000_000)):
        rated = rating.rate(
            tariff=TARIFF, load=load_of(YEAR[month], 100, 200), period=YEAR[month], reading=reading, history=history
        )
        assert sum(energy for _, energy in rated.carried_milliwh) == carried
        assert rated.exact_nano == amount
        history = rating.follow(history=history, rated=rated, ends_year=False)
    july = rating.rate(tariff=TARIFF, load=load_of(YEAR[6], 200, 100), period=YEAR[6], reading=reading, history=history)
    assert july.exact_nano == 7_440_000_000  # 74.4 kWh at 10 cents: nothing came over from June


def test_a_surplus_without_a_price_is_the_utilitys_and_is_shown() -> None:
    rated = rating.rate(
        tariff=TARIFF, load=load_of(YEAR[5], 100, 200), period=YEAR[5], reading=terms.Terms(true_up_month=6)
    )
    (line,) = [line for line in rated.lines if line.kind is bill.LineKind.EXPORT_CREDIT]
    assert (line.quantity, line.amount_nano, rated.carried_milliwh) == (72, 0, ())


@pytest.mark.parametrize(
    ("days", "is_true_up"),
    [
        (("2025-06-15", "2025-07-15"), True),
        (("2025-06-01", "2025-06-30"), False),
        (("2025-06-01", "2025-07-01"), True),
        (("2025-07-01", "2025-08-01"), False),
        (("2025-05-15", "2025-06-15"), False),
    ],
)
def test_one_bill_a_year_holds_the_last_day(days: tuple[str, str], *, is_true_up: bool) -> None:
    starts_on, ends_on = map(datetime.date.fromisoformat, days)
    period = loads.BillingPeriod(starts_on, ends_on, factory.NEW_YORK)
    rated = rating.rate(
        tariff=TARIFF, load=load_of(period, 0, 100), period=period, reading=terms.Terms(true_up_month=6)
    )
    assert (rated.carried_milliwh == ()) is is_true_up


def test_only_net_metering_has_a_true_up() -> None:
    tariff = factory.make_tariff(dgrules="Buy All Sell All", energy=[[{"rate": "0.10", "sell": "0.04"}]])
    rated = rating.rate(
        tariff=tariff, load=load_of(YEAR[5], 100, 200), period=YEAR[5], reading=terms.Terms(true_up_month=6)
    )
    assert rated.exact_nano == 7_200_000_000 - 5_760_000_000  # 72 kWh at 10 cents less 144 kWh at 4
    with pytest.raises(ValueError, match="1 to 12"):
        terms.Terms(true_up_month=13)
    assert not batch.can_rate(tariff=tariff, reading=terms.Terms(true_up_month=6))


@given(
    month=st.integers(1, 12),
    price=st.integers(0, 10**9),
    seed=st.integers(0, 2**32 - 1),
    first=st.dates(datetime.date(2024, 1, 1), datetime.date(2025, 1, 1)),
    lengths=st.lists(st.integers(1, 45), min_size=1, max_size=4),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_energy_is_conserved_over_bills_and_true_ups(
    month: int, price: int, seed: int, first: datetime.date, lengths: list[int]
) -> None:
    numbers = np.random.default_rng(seed)
    reading = terms.Terms(true_up_month=month, cash_out_nano_per_kwh=price)
    history, day, net = rating.History(), first, 0
    for length in lengths:
        period = loads.BillingPeriod(day, day + datetime.timedelta(days=length), factory.NEW_YORK)
        count = (period.ends - period.starts) // 3600
        load = loads.IntervalSeries(
            period.starts + 3600 * np.arange(count, dtype=np.int64),
            np.full(count, 3600, dtype=np.int64),
            numbers.integers(0, 10**6, count),
            numbers.integers(0, 10**6 * int(numbers.integers(1, 4)), count),
        )
        rated = rating.rate(tariff=NOON, load=load, period=period, reading=reading, history=history)
        bought, sold = (
            sum(int(line.quantity * 10**6) for line in rated.lines if line.kind is kind)
            for kind in (bill.LineKind.ENERGY, bill.LineKind.EXPORT_CREDIT)
        )
        came = sum(energy for _, energy in history.carried_milliwh)
        left = sum(energy for _, energy in rated.carried_milliwh)
        assert bought - sold - left == rated.usage.import_milliwh - rated.usage.export_milliwh - came
        assert min(bought, sold, left) >= 0
        net += bought - sold
        history = rating.follow(history=history, rated=rated, ends_year=False)
        day = period.ends_on
