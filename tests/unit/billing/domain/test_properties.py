"""What holds for every tariff and load."""

import datetime
import decimal
import os
import random
import zoneinfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.adapters import urdb
from billing.domain import batch, bill, loads, rating, tariffs, terms
from tests.factories import rating as factory

ZONES = [
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "Europe/Berlin",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Sydney",
    "Pacific/Auckland",
]
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "150"))
YEAR = factory.months(year=2025, zone=factory.NEW_YORK)
TWO_YEARS = [*factory.months(year=2024, zone=factory.NEW_YORK), *YEAR]
RUN = 5
TWO_STEPS = factory.make_tariff(energy=[[{"rate": "0.1234567", "max": "500"}, {"rate": "0.2"}]])

SEEDS = st.integers(0, 2**32 - 1)
RULES = ["Net Metering", "Net Billing Instantaneous", "Buy All Sell All"]
SPANS = ["$/month", "$/day", "$/year"]
UNITS = [unit.value for unit in tariffs.EnergyUnit]


@st.composite
def any_tariff(draw: st.DrawFn) -> tariffs.Tariff:
    """Draw which charges a tariff has; what they are comes of a seed, since to draw hundreds of numbers costs more.

    Each charge but energy is there in about half of the cases.
    """
    has = draw(st.integers(0, 63))
    return _tariff(has=[bool(has >> bit & 1) for bit in range(6)], numbers=random.Random(draw(SEEDS)))


def _tariff(*, has: list[bool], numbers: random.Random) -> tariffs.Tariff:
    fields: dict[str, object] = {"dgrules": numbers.choice(RULES)}
    has_flat, has_tou, has_ratchet, has_minimum, has_fixed, has_seasons = has
    if has_flat:
        fields |= {
            "flatdemandstructure": [_demand_steps(numbers), _demand_steps(numbers)],
            "flatdemandmonths": numbers.choices([0, 1], k=12),
        }
    if has_tou:
        fields |= {
            "demandratestructure": [_demand_steps(numbers) for _ in range(3)],
            "demandweekdayschedule": [_hours(numbers)] * 12,
            "demandweekendschedule": [_hours(numbers)] * 12,
        }
    if has_ratchet:
        fields |= {
            "lookbackpercent": decimal.Decimal("0.75"),
            "lookbackmonths": [True, False] * 6,
            "lookbackrange": numbers.randint(0, 11),
        }
    if has_minimum:
        fields |= {"mincharge": numbers.randint(1, 500), "minchargeunits": numbers.choice(["$/month", "$/year"])}
    if has_fixed:
        fields |= {"fixedchargefirstmeter": numbers.randint(1, 99), "fixedchargeunits": numbers.choice(SPANS)}
    winter, summer = _hours(numbers), _hours(numbers)
    weekdays = [winter] * 4 + [summer if has_seasons else winter] * 5 + [winter] * 3
    return urdb.to_tariff(
        rate={
            "label": "test",
            "name": "test",
            "energyratestructure": [_energy_tiers(numbers) for _ in range(3)],
            "energyweekdayschedule": weekdays,
            "energyweekendschedule": [_hours(numbers)] * 12,
            **fields,
        }
    )


def _hours(numbers: random.Random) -> list[int]:
    """Return periods of 24 hours, one day in four without a change."""
    return numbers.choices(numbers.choice([[0], [0, 1], [0, 1, 2], [0, 1, 2]]), k=24)


def _price(numbers: random.Random) -> decimal.Decimal:
    return decimal.Decimal(numbers.randint(-5, 60)).scaleb(-2)


def _bounds(numbers: random.Random, most: int) -> list[int]:
    return sorted(numbers.sample(range(1, numbers.choice([12, 4000])), numbers.randint(0, most)))


def _energy_tiers(numbers: random.Random) -> list[dict[str, object]]:
    units = numbers.choice([[numbers.choice(UNITS)], UNITS])
    tiers: list[dict[str, object]] = [
        {"rate": _price(numbers), "max": upper, "unit": numbers.choice(units)} for upper in _bounds(numbers, 9)
    ]
    sell = decimal.Decimal("0.03")
    return [*tiers, {"rate": _price(numbers), "unit": numbers.choice(units), "sell": sell}]


def _demand_steps(numbers: random.Random) -> list[dict[str, object]]:
    steps: list[dict[str, object]] = [{"rate": _price(numbers), "max": upper} for upper in _bounds(numbers, 3)]
    return [*steps, {"rate": _price(numbers)}]


def random_load(*, period: loads.BillingPeriod, seconds: int, seed: int, exports: bool = False) -> loads.IntervalSeries:
    count = (period.ends - period.starts) // seconds
    numbers = np.random.default_rng(seed)
    return loads.IntervalSeries.regular(
        starts_at=datetime.datetime.fromtimestamp(period.starts, tz=datetime.UTC),
        interval_seconds=seconds,
        import_milliwh=numbers.integers(0, 3_000_000, count),
        export_milliwh=numbers.integers(0, 2_000_000, count) if exports else None,
    )


@given(
    tariff=any_tariff(),
    zone=st.sampled_from(ZONES),
    first=st.dates(datetime.date(2024, 1, 1), datetime.date(2026, 10, 1)),
    days=st.integers(1, 45),
    seconds=st.sampled_from([900, 1800, 3600]),
    rounding=st.sampled_from(list(bill.Rounding)),
    proration=st.sampled_from(list(terms.Proration)),
    seed=st.integers(0, 2**32 - 1),
    exports=st.booleans(),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_lines_sum_to_the_total_and_energy_is_conserved(  # noqa: PLR0917 - given by name
    tariff: tariffs.Tariff,
    zone: str,
    first: datetime.date,
    days: int,
    seconds: int,
    rounding: bill.Rounding,
    proration: terms.Proration,
    seed: int,
    exports: bool,
) -> None:
    period = loads.BillingPeriod(first, first + datetime.timedelta(days=days), zoneinfo.ZoneInfo(zone))
    load = random_load(period=period, seconds=seconds, seed=seed, exports=exports)
    reading = terms.Terms(rounding=rounding, proration=proration)

    rated = rating.rate(tariff=tariff, load=load, period=period, reading=reading)

    assert rated.total_nano == sum(line.amount_nano for line in rated.lines)
    assert rated.total_nano % 10**7 == 0
    bought, sold = (
        sum(int(line.quantity * 10**6) for line in rated.lines if line.kind is kind)
        for kind in (bill.LineKind.ENERGY, bill.LineKind.EXPORT_CREDIT)
    )
    carried = sum(amount for _, amount in rated.carried_milliwh)
    assert bought - sold - carried == rated.usage.import_milliwh - rated.usage.export_milliwh
    for line in rated.lines:
        exact = line.quantity * line.unit_price_nano * line.factor.numerator / line.factor.denominator
        assert abs(exact - line.amount_nano) <= 1


@given(tariff=any_tariff(), first=st.integers(0, 24 - RUN), seed=SEEDS, reference=st.booleans(), exports=st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_kernel_gives_the_very_nanos_of_the_plain_computation(
    tariff: tariffs.Tariff, first: int, seed: int, reference: bool, exports: bool
) -> None:
    reading = terms.AS_REFERENCE if reference else terms.Terms()
    months = TWO_YEARS[first : first + RUN]
    whole = loads.BillingPeriod(months[0].starts_on, months[-1].ends_on, factory.NEW_YORK)
    load = random_load(period=whole, seconds=3600, seed=seed, exports=exports)
    cells = batch.aggregate(
        energy_milliwh=load.import_milliwh[None, :],
        export_milliwh=None if load.export_milliwh is None else load.export_milliwh[None, :],
        starts=load.starts,
        interval_seconds=3600,
        zone=factory.NEW_YORK,
    )

    many = batch.rate(compiled=batch.compile_tariff(tariff=tariff, reading=reading), cells=cells, reading=reading)

    history = rating.History(ends_year=months[0].starts_on.month == 12)
    for place, period in enumerate(months):
        one = rating.rate(tariff=tariff, load=load, period=period, reading=reading, history=history)
        history = rating.follow(history=history, rated=one, ends_year=period.starts_on.month == 11)
        assert {component: one.component_nano(component) for component in bill.Component} == {
            component: int(many.component(component)[0][place]) for component in bill.Component
        }


@given(seed=st.integers(0, 2**32 - 1), share=st.integers(0, 100))
@settings(max_examples=EXAMPLES, deadline=None)
def test_rebill_differs_by_new_less_old(seed: int, share: int) -> None:
    old = random_load(period=YEAR[3], seconds=3600, seed=seed)
    energy = old.import_milliwh.copy()
    energy[:share] += 1_000
    new = loads.IntervalSeries(starts=old.starts, seconds=old.seconds, import_milliwh=energy)

    before, after = (rating.rate(tariff=TWO_STEPS, load=load, period=YEAR[3]) for load in (old, new))

    assert after.usage.import_milliwh - before.usage.import_milliwh == share * 1_000
    assert after.exact_nano - before.exact_nano == after.component_nano(bill.Component.ENERGY) - before.component_nano(
        bill.Component.ENERGY
    )
