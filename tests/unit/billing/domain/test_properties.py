"""What holds for every tariff and load."""

import datetime
import os
import zoneinfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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

prices = st.integers(-5, 60).map(lambda cents: str(cents / 100))
bounds = st.lists(st.integers(1, 4000), max_size=9, unique=True).map(sorted)
schedules = st.lists(st.integers(0, 2), min_size=24, max_size=24)


@st.composite
def energy_tiers(draw: st.DrawFn) -> list[dict[str, object]]:
    unit = draw(st.sampled_from([unit.value for unit in tariffs.EnergyUnit]))
    uppers = [str(bound) for bound in draw(bounds)]
    tiers: list[dict[str, object]] = [{"rate": draw(prices), "max": upper, "unit": unit} for upper in uppers]
    return [*tiers, {"rate": draw(prices), "unit": unit, "sell": "0.03"}]


@st.composite
def demand_steps(draw: st.DrawFn) -> list[dict[str, object]]:
    steps: list[dict[str, object]] = [{"rate": draw(prices), "max": str(upper)} for upper in draw(bounds)[:3]]
    return [*steps, {"rate": draw(prices)}]


@st.composite
def any_tariff(draw: st.DrawFn) -> tariffs.Tariff:
    fields: dict[str, object] = {}
    if draw(st.booleans()):
        fields |= {
            "flatdemandstructure": [draw(demand_steps()), draw(demand_steps())],
            "flatdemandmonths": draw(st.lists(st.integers(0, 1), min_size=12, max_size=12)),
        }
    if draw(st.booleans()):
        fields |= {
            "demandratestructure": [draw(demand_steps()) for _ in range(3)],
            "demandweekdayschedule": [draw(schedules)] * 12,
            "demandweekendschedule": [draw(schedules)] * 12,
        }
    if draw(st.booleans()):
        fields |= {
            "lookbackpercent": 0.75,
            "lookbackmonths": [True, False] * 6,
            "lookbackrange": draw(st.integers(0, 11)),
        }
    if draw(st.booleans()):
        fields |= {
            "mincharge": draw(st.integers(1, 500)),
            "minchargeunits": draw(st.sampled_from(["$/month", "$/year"])),
        }
    if draw(st.booleans()):
        fields |= {
            "fixedchargefirstmeter": draw(st.integers(1, 99)),
            "fixedchargeunits": draw(st.sampled_from(["$/month", "$/day", "$/year"])),
        }
    if draw(st.booleans()):
        winter, summer = draw(schedules), draw(schedules)
        fields |= {"energyweekdayschedule": [winter] * 4 + [summer] * 5 + [winter] * 3}
    fields["dgrules"] = draw(st.sampled_from(["Net Metering", "Net Billing Instantaneous", "Buy All Sell All"]))
    return factory.make_tariff(
        weekday=draw(schedules),
        weekend=draw(schedules),
        energy=[draw(energy_tiers()) for _ in range(3)],
        **fields,
    )


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
    days=st.integers(1, 70),
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


@given(tariff=any_tariff(), seed=st.integers(0, 2**32 - 1), reference=st.booleans(), exports=st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_kernel_gives_the_very_nanos_of_the_plain_computation(
    tariff: tariffs.Tariff, seed: int, reference: bool, exports: bool
) -> None:
    reading = terms.AS_REFERENCE if reference else terms.Terms()
    year = loads.BillingPeriod(YEAR[0].starts_on, YEAR[-1].ends_on, factory.NEW_YORK)
    load = random_load(period=year, seconds=3600, seed=seed, exports=exports)
    cells = batch.aggregate(
        energy_milliwh=load.import_milliwh[None, :],
        export_milliwh=None if load.export_milliwh is None else load.export_milliwh[None, :],
        starts=load.starts,
        interval_seconds=3600,
        zone=factory.NEW_YORK,
    )

    many = batch.rate(compiled=batch.compile_tariff(tariff=tariff, reading=reading), cells=cells, reading=reading)

    history = rating.History()
    for month, period in enumerate(YEAR):
        one = rating.rate(tariff=tariff, load=load, period=period, reading=reading, history=history)
        history = rating.follow(history=history, rated=one, ends_year=month + 1 == len(YEAR) - 1)
        assert {component: one.component_nano(component) for component in bill.Component} == {
            component: int(many.component(component)[0][month]) for component in bill.Component
        }


@given(seed=st.integers(0, 2**32 - 1), share=st.integers(0, 100))
@settings(max_examples=EXAMPLES, deadline=None)
def test_rebill_differs_by_new_less_old(seed: int, share: int) -> None:
    tariff = factory.make_tariff(energy=[[{"rate": "0.1234567", "max": "500"}, {"rate": "0.2"}]])
    old = random_load(period=YEAR[3], seconds=3600, seed=seed)
    energy = old.import_milliwh.copy()
    energy[:share] += 1_000
    new = loads.IntervalSeries(starts=old.starts, seconds=old.seconds, import_milliwh=energy)

    before, after = (rating.rate(tariff=tariff, load=load, period=YEAR[3]) for load in (old, new))

    assert after.usage.import_milliwh - before.usage.import_milliwh == share * 1_000
    assert after.exact_nano - before.exact_nano == after.component_nano(bill.Component.ENERGY) - before.component_nano(
        bill.Component.ENERGY
    )
