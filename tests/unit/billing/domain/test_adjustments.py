"""Riders, discounts and taxes: facts worked out by hand, and what holds for all of them."""

import dataclasses
import datetime
import decimal
import fractions
import os
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain import adjustments, bill, loads, rules, terms
from tests.factories import rating as factory

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
NANO = 10**9
CENT = 10**7
JUNE = loads.BillingPeriod(datetime.date(2026, 6, 1), datetime.date(2026, 7, 1), factory.NEW_YORK)
NEW_YEAR = datetime.date(2026, 1, 1)
USAGE = bill.Usage(900_000_000, 0, 5_000_000, 5_000_000)
LINES = (
    bill.priced(
        kind=bill.LineKind.ENERGY, label="Energy", quantity_micro=900_000_000, unit="kWh", unit_price_nano=120_000_000
    ),
    bill.priced(
        kind=bill.LineKind.DEMAND_FLAT, label="Demand", quantity_micro=5_000_000, unit="kW", unit_price_nano=4 * NANO
    ),
    bill.priced(
        kind=bill.LineKind.FIXED, label="Customer charge", quantity_micro=10**6, unit="month", unit_price_nano=12 * NANO
    ),
)  # 108 + 20 + 12 = 140


def rider(code: str = "R", **fields: object) -> rules.Rider:
    own: dict[str, object] = {"name": "Rider", "version": NEW_YEAR, "starts_on": NEW_YEAR, "basis": rules.Basis.KWH}
    return rules.Rider(code=code, **own | fields)  # type: ignore[arg-type] # the caller names what differs


def tax(code: str = "T", **fields: object) -> rules.Tax:
    own: dict[str, object] = {"name": "Tax", "version": NEW_YEAR, "starts_on": NEW_YEAR, "jurisdiction": "Harborview"}
    return rules.Tax(code=code, **own | fields)  # type: ignore[arg-type] # the caller names what differs


def discount(code: str = "D", **fields: object) -> rules.Discount:
    own: dict[str, object] = {
        "name": "Discount",
        "version": NEW_YEAR,
        "starts_on": NEW_YEAR,
        "basis": rules.Basis.PERCENT,
    }
    return rules.Discount(code=code, **own | fields)  # type: ignore[arg-type] # the caller names what differs


def charge(
    book: rules.Rulebook, reading: terms.Terms | None = None, period: loads.BillingPeriod = JUNE
) -> tuple[bill.Line, ...]:
    return adjustments.charge(
        lines=LINES,
        usage=USAGE,
        period=period,
        tariff_code="RES",
        reading=reading or terms.Terms(),
        book=book,
    )


def amounts(lines: tuple[bill.Line, ...]) -> list[decimal.Decimal]:
    return [decimal.Decimal(line.amount_nano).scaleb(-9).normalize() for line in lines]


def test_every_kind_of_line_has_a_base_or_comes_after_the_charges() -> None:
    after = {
        bill.LineKind.CREDIT,
        bill.LineKind.BUDGET,
        bill.LineKind.PREPAID,
        bill.LineKind.PAID_BEFORE,
        bill.LineKind.BROUGHT_FORWARD,
        bill.LineKind.CREDIT_USED,
        bill.LineKind.ROUNDING,
    }
    assert set(rules.BASE_OF) == set(bill.LineKind) - after


def test_no_rules_add_nothing() -> None:
    assert charge(rules.Rulebook()) == ()


@pytest.mark.parametrize(
    ("made", "amount", "quantity", "factor"),
    [
        (rider(price_nano=3_500_000), "3.15", "900", "1"),
        (rider(basis=rules.Basis.KW, price_nano=750_000_000), "3.75", "5", "1"),
        (rider(basis=rules.Basis.DAY, price_nano=20_000_000), "0.6", "30", "1"),
        (rider(basis=rules.Basis.MONTH, price_nano=2 * NANO), "2", "1", "1"),
        (rider(basis=rules.Basis.PERCENT, percent_micro=50_000), "7", "1", "1/20"),
        (
            rider(
                basis=rules.Basis.PERCENT,
                percent_micro=-100_000,
                bases=frozenset({rules.Base.ENERGY, rules.Base.DEMAND}),
            ),
            "-12.8",
            "1",
            "-1/10",
        ),
        # Ten of thirty days: a third of the kWh, ten days of the price per day.
        (rider(price_nano=3_500_000, ends_on=datetime.date(2026, 6, 11)), "1.05", "900", "1/3"),
        (
            rider(basis=rules.Basis.DAY, price_nano=20_000_000, starts_on=datetime.date(2026, 6, 21)),
            "0.2",
            "10",
            "1",
        ),
        (discount(percent_micro=200_000), "-28", "1", "1/5"),
        (discount(percent_micro=200_000, most_nano=15 * NANO), "-15", "1", "1"),
        (discount(basis=rules.Basis.MONTH, price_nano=5 * NANO), "-5", "1", "1"),
        # Medical baseline: 16.5 kWh a day at 4 cents less; 495 of the 900 kWh.
        (
            discount(basis=rules.Basis.KWH, price_nano=40_000_000, allowance_milliwh_per_day=16_500_000),
            "-19.8",
            "495",
            "1",
        ),
        # Whoever uses less than the allowance gets it on what they used: 900 of 1,200 kWh.
        (
            discount(basis=rules.Basis.KWH, price_nano=40_000_000, allowance_milliwh_per_day=40_000_000),
            "-36",
            "900",
            "1",
        ),
        (tax(percent_micro=82_500), "11.55", "1", "33/400"),
        (tax(basis=rules.Basis.KWH, price_nano=1_000_000), "0.9", "900", "1"),
    ],
)
def test_one_rule(made: rules.Rule, amount: str, quantity: str, factor: str) -> None:
    book = rules.Rulebook(
        riders=(made,) if isinstance(made, rules.Rider) else (),
        discounts=(made,) if isinstance(made, rules.Discount) else (),
        taxes=(made,) if isinstance(made, rules.Tax) else (),
    )
    (line,) = charge(book)
    assert amounts((line,)) == [decimal.Decimal(amount)]
    assert (line.quantity, line.factor) == (decimal.Decimal(quantity), fractions.Fraction(factor))
    assert f"({made.code}, version 2026-01-01)" in line.label


def test_two_versions_share_the_days_of_a_period() -> None:
    middle = datetime.date(2026, 6, 16)
    old = rider(price_nano=10_000_000, ends_on=middle)
    new = rider(price_nano=20_000_000, version=middle, starts_on=middle)
    first, second = charge(rules.Rulebook(riders=(new, old)))
    assert amounts((first, second)) == [decimal.Decimal("4.5"), decimal.Decimal(9)]
    assert ("version 2026-01-01" in first.label, "version 2026-06-16" in second.label) == (True, True)


def test_a_rider_of_other_tariffs() -> None:
    assert charge(rules.Rulebook(riders=(rider(price_nano=1_000_000, tariff_codes=frozenset({"COM"})),))) == ()


def test_what_is_given_back_is_billed_net_and_delivered_whole() -> None:
    usage = dataclasses.replace(USAGE, import_milliwh=1_500_000_000, export_milliwh=600_000_000)
    for measure, amount in ((rules.Measure.BILLED, "9"), (rules.Measure.DELIVERED, "15")):
        (line,) = adjustments.charge(
            lines=LINES,
            usage=usage,
            period=JUNE,
            tariff_code="RES",
            reading=terms.Terms(),
            book=rules.Rulebook(riders=(rider(price_nano=10_000_000, measure=measure),)),
        )
        assert amounts((line,)) == [decimal.Decimal(amount)]


def test_stacked_and_compound_taxes() -> None:
    state = tax("STATE", percent_micro=60_000)
    city = tax("CITY", percent_micro=20_000)
    compound = tax("COUNTY", percent_micro=10_000, stage=2, bases=rules.RATED | {rules.Base.TAX})
    lines = charge(rules.Rulebook(taxes=(compound, state, city)))
    # Side by side on 140: 2.80 and 8.40; then 1 % of 140 + 11.20 = 1.512; the bill is 152.712, rounded by -0.002.
    assert amounts(lines) == [decimal.Decimal(text) for text in ("2.8", "8.4", "1.512", "-0.002")]


def test_a_tax_after_riders_and_discounts() -> None:
    lines = charge(
        rules.Rulebook(
            riders=(rider(price_nano=10_000_000),),
            discounts=(discount(percent_micro=100_000),),
            taxes=(tax(percent_micro=100_000), tax("GROSS", percent_micro=100_000, bases=rules.RATED)),
        )
    )
    # 140 + 9 - 14.90 = 134.10, of which the first takes a tenth; the other takes a tenth of the 140.
    assert amounts(lines) == [decimal.Decimal(text) for text in ("9", "-14.9", "14", "13.41")]


def test_an_exemption_of_some_days_and_some_share() -> None:
    half = rules.Exemption(tax_code="T", starts_on=datetime.date(2026, 6, 16), share_micro=500_000)
    whole = rules.Exemption(tax_code="T", starts_on=datetime.date(2026, 6, 28))
    (line,) = charge(rules.Rulebook(taxes=(tax(percent_micro=100_000),), exemptions=(half, whole)))
    # 15 days in full, 12 by half, 3 not at all: 21 of 30 days; 14 x 0.7.
    assert amounts((line,)) == [decimal.Decimal("9.8")]
    assert line.factor == fractions.Fraction(7, 100)


def test_a_credit_is_not_taxed_unless_the_tax_says_so() -> None:
    lines = (
        bill.priced(
            kind=bill.LineKind.EXPORT_CREDIT,
            label="To the grid",
            quantity_micro=10**8,
            unit="kWh",
            unit_price_nano=-(10**8),
        ),
    )
    for gives_back, expected in ((False, []), (True, [decimal.Decimal(-1)])):
        made = adjustments.charge(
            lines=lines,
            usage=USAGE,
            period=JUNE,
            tariff_code="RES",
            reading=terms.Terms(),
            book=rules.Rulebook(taxes=(tax(percent_micro=100_000, taxes_credits=gives_back),)),
        )
        assert amounts(made) == expected


def test_a_leap_february_has_twenty_nine_days() -> None:
    period = loads.BillingPeriod(datetime.date(2024, 2, 1), datetime.date(2024, 3, 1), factory.NEW_YORK)
    made = rider(
        basis=rules.Basis.DAY, price_nano=CENT, starts_on=datetime.date(2024, 1, 1), version=datetime.date(2024, 1, 1)
    )
    (line,) = charge(rules.Rulebook(riders=(made,)), period=period)
    assert (line.quantity, line.amount_nano) == (29, 29 * CENT)


def test_rules_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="R cannot be taken of tax"):
        rider(bases=frozenset({rules.Base.TAX}))
    with pytest.raises(ValueError, match="not below zero"):
        discount(percent_micro=-1)
    with pytest.raises(ValueError, match="0 to 100"):
        rules.Exemption(tax_code="T", starts_on=NEW_YEAR, share_micro=rules.WHOLE + 1)


prices = st.integers(-(10**9), 10**9)


def any_span(chance: random.Random) -> dict[str, Any]:
    starts_on = datetime.date(2026, 5, 1) + datetime.timedelta(days=chance.randint(0, 92))
    ends_on = starts_on + datetime.timedelta(days=chance.randint(1, 60)) if chance.random() < 0.7 else None
    return {"version": starts_on, "starts_on": starts_on, "ends_on": ends_on}


def any_price(chance: random.Random) -> dict[str, Any]:
    small = chance.random() < 0.3
    return {
        "price_nano": chance.randint(-2, 2) if small else chance.randint(-(10**9), 10**9),
        "percent_micro": chance.randint(-2, 2) if small else chance.randint(-500_000, 500_000),
    }


def some(chance: random.Random, values: Iterable[rules.Base]) -> frozenset[rules.Base]:
    return frozenset(value for value in sorted(values) if chance.random() < 0.5)


def any_rulebook(chance: random.Random) -> rules.Rulebook:
    """Return rules by chance: ten thousand of them in seconds, each again from its seed."""
    riders = [
        rider(
            f"R{number}",
            basis=chance.choice(list(rules.Basis)),
            bases=some(chance, rules.RATED),
            **any_price(chance),
            **any_span(chance),
        )
        for number in range(chance.randint(0, 3))
    ]
    discounts = [
        discount(
            f"D{number}",
            basis=chance.choice(list(rules.Basis)),
            allowance_milliwh_per_day=chance.choice([None, 0, chance.randint(0, 10**8)]),
            most_nano=chance.choice([None, 0, chance.randint(0, 10**11)]),
            **{name: abs(value) for name, value in any_price(chance).items()},
            **any_span(chance),
        )
        for number in range(chance.randint(0, 3))
    ]
    taxes = [
        tax(
            f"T{number}",
            basis=chance.choice([rules.Basis.PERCENT, rules.Basis.KWH, rules.Basis.DAY]),
            bases=some(chance, rules.Base),
            stage=chance.randint(1, 3),
            taxes_credits=chance.random() < 0.5,
            **any_price(chance),
            **any_span(chance),
        )
        for number in range(chance.randint(0, 4))
    ]
    return rules.Rulebook(riders=tuple(riders), discounts=tuple(discounts), taxes=tuple(taxes))


@given(rounding=st.sampled_from(list(bill.Rounding)), seed=st.integers(0, 2**64))
@settings(max_examples=EXAMPLES, deadline=None)
def test_sums_are_whole_and_the_order_of_rules_changes_nothing(rounding: bill.Rounding, seed: int) -> None:
    shuffled = random.Random(seed)
    book = any_rulebook(shuffled)
    reading = terms.Terms(rounding=rounding)
    added = charge(book, reading)

    assert sum(line.amount_nano for line in (*LINES, *added)) % CENT == 0
    for line in added:
        assert isinstance(line.amount_nano, int)
        assert isinstance(line.unit_price_nano, int)
        assert isinstance(line.quantity, decimal.Decimal)
        exact = line.quantity * line.unit_price_nano * line.factor.numerator / line.factor.denominator
        assert abs(exact - line.amount_nano) <= 1
    other = rules.Rulebook(
        riders=tuple(shuffled.sample(book.riders, len(book.riders))),
        discounts=tuple(shuffled.sample(book.discounts, len(book.discounts))),
        taxes=tuple(shuffled.sample(book.taxes, len(book.taxes))),
    )
    assert charge(other, reading) == added
    exempt = tuple(rules.Exemption(tax_code=each.code, starts_on=NEW_YEAR) for each in book.taxes)
    untaxed = charge(dataclasses.replace(book, exemptions=exempt), reading)
    assert not [line for line in untaxed if line.kind is bill.LineKind.TAX]
    assert untaxed == charge(dataclasses.replace(book, taxes=()), reading)


@given(first=prices, second=prices, cut=st.integers(1, 29))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_rule_cut_in_two_is_the_rule(first: int, second: int, cut: int) -> None:
    day = JUNE.starts_on + datetime.timedelta(days=cut)
    book = rules.Rulebook(riders=(rider("A", price_nano=first), rider("B", basis=rules.Basis.MONTH, price_nano=second)))
    parts = tuple(
        part
        for whole in book.riders
        for part in (dataclasses.replace(whole, ends_on=day), dataclasses.replace(whole, starts_on=day, version=day))
    )
    line, component = (
        sum(line.amount_nano for line in charge(one) if line.kind is bill.LineKind.RIDER)
        for one in (book, rules.Rulebook(riders=parts))
    )
    assert abs(line - component) <= 2  # each part is rounded once, to the nano-unit
