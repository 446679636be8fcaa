"""Riders, discounts and taxes on what rating priced, each a line that names the version of its rule."""

import dataclasses
import datetime
import decimal
import fractions
from collections.abc import Iterable, Sequence

from billing.domain import bill, loads, rules, terms

_NONE = fractions.Fraction(0)


@dataclasses.dataclass(slots=True)
class _Sheet:
    """A span while it is adjusted: quantities, and what stands under each base so far."""

    usage: bill.Usage
    period: loads.BillingPeriod
    months: fractions.Fraction
    billed_milliwh: int
    sums: dict[rules.Base, int]

    def sum_of(self, bases: Iterable[rules.Base]) -> int:
        return sum(self.sums.get(base, 0) for base in bases)

    def share_of(self, rule: rules.Rule) -> fractions.Fraction:
        days = rule.days_in(self.period)
        return fractions.Fraction(days, self.period.days) if days else _NONE

    def add(self, base: rules.Base, lines: Sequence[bill.Line]) -> None:
        self.sums[base] = self.sums.get(base, 0) + sum(line.amount_nano for line in lines)


def charge(
    *,
    lines: Sequence[bill.Line],
    usage: bill.Usage,
    period: loads.BillingPeriod,
    tariff_code: str,
    reading: terms.Terms,
    book: rules.Rulebook,
) -> tuple[bill.Line, ...]:
    """Return the lines that riders, discounts and taxes add to a rated span, in that order.

    The order in which rules of one sort are given changes nothing: percentages are taken of what earlier sorts made,
    and of taxes by their stages. Where the sum would not be whole minor units at the place where the tariff rounds,
    the last line is the difference: rated and added lines together are whole.
    """
    if book.is_empty:
        return ()
    billed = sum((line.quantity for line in lines if line.kind is bill.LineKind.ENERGY), start=decimal.Decimal(0))
    months = terms.month_shares(period=period, terms=reading).factor
    sheet = _Sheet(usage, period, months, int(billed * rules.WHOLE), {})
    for line in lines:
        if line.kind is not bill.LineKind.ROUNDING:
            base = rules.BASE_OF[line.kind]
            sheet.sums[base] = sheet.sums.get(base, 0) + line.amount_nano
    riders = [
        made
        for rider in sorted(book.riders, key=_order)
        if not rider.tariff_codes or tariff_code in rider.tariff_codes
        if (made := _rider_line(rider=rider, sheet=sheet)) is not None
    ]
    sheet.add(rules.Base.RIDER, riders)
    discounts = [
        made
        for discount in sorted(book.discounts, key=_order)
        if (made := _discount_line(discount=discount, sheet=sheet)) is not None
    ]
    sheet.add(rules.Base.DISCOUNT, discounts)
    taxes: list[bill.Line] = []
    for stage in sorted({tax.stage for tax in book.taxes}):
        staged = [
            made
            for tax in sorted(book.taxes, key=_order)
            if tax.stage == stage
            if (made := _tax_line(tax=tax, sheet=sheet, exemptions=book.exemptions)) is not None
        ]
        sheet.add(rules.Base.TAX, staged)
        taxes += staged
    added = (*riders, *discounts, *taxes)
    rounding = _rounding(rated=lines, added=added, reading=reading)
    return (*added, rounding) if rounding else added


def _rider_line(*, rider: rules.Rider, sheet: _Sheet) -> bill.Line | None:
    share = sheet.share_of(rider)
    if rider.basis is rules.Basis.PERCENT:
        return _percent_line(
            kind=bill.LineKind.RIDER,
            rule=rider,
            base_nano=sheet.sum_of(rider.bases),
            percent_micro=rider.percent_micro,
            share=share,
        )
    return _unit_line(
        kind=bill.LineKind.RIDER,
        rule=rider,
        basis=rider.basis,
        price_nano=rider.price_nano,
        measure=rider.measure,
        sheet=sheet,
        share=share,
    )


def _discount_line(*, discount: rules.Discount, sheet: _Sheet) -> bill.Line | None:
    share = sheet.share_of(discount)
    line: bill.Line | None
    if discount.basis is rules.Basis.PERCENT:
        line = _percent_line(
            kind=bill.LineKind.DISCOUNT,
            rule=discount,
            base_nano=-max(0, sheet.sum_of(discount.bases)),
            percent_micro=discount.percent_micro,
            share=share,
        )
    elif discount.basis is rules.Basis.KWH and discount.allowance_milliwh_per_day is not None:
        days = discount.days_in(sheet.period)
        used = sheet.billed_milliwh * days // sheet.period.days
        line = bill.priced(
            kind=bill.LineKind.DISCOUNT,
            label=discount.label,
            quantity_micro=min(used, discount.allowance_milliwh_per_day * days),
            unit="kWh",
            unit_price_nano=-discount.price_nano,
        )
    else:
        line = _unit_line(
            kind=bill.LineKind.DISCOUNT,
            rule=discount,
            basis=discount.basis,
            price_nano=-discount.price_nano,
            measure=rules.Measure.BILLED,
            sheet=sheet,
            share=share,
        )
    if line is None or not line.amount_nano or discount.most_nano is None:
        return line if line is not None and line.amount_nano else None
    most = discount.most_nano * share * sheet.months
    if -line.amount_nano <= most:
        return line
    return _of_base(
        kind=bill.LineKind.DISCOUNT,
        label=f"{discount.label}, its most a month",
        unit="month",
        base_nano=-discount.most_nano,
        factor=share * sheet.months,
    )


def _tax_line(*, tax: rules.Tax, sheet: _Sheet, exemptions: tuple[rules.Exemption, ...]) -> bill.Line | None:
    share = sheet.share_of(tax) - _exempt_share(tax=tax, period=sheet.period, exemptions=exemptions)
    if tax.basis is rules.Basis.PERCENT:
        base_nano = sheet.sum_of(tax.bases)
        return _percent_line(
            kind=bill.LineKind.TAX,
            rule=tax,
            base_nano=base_nano if tax.taxes_credits else max(0, base_nano),
            percent_micro=tax.percent_micro,
            share=share,
        )
    return _unit_line(
        kind=bill.LineKind.TAX,
        rule=tax,
        basis=tax.basis,
        price_nano=tax.price_nano,
        measure=tax.measure,
        sheet=sheet,
        share=share,
    )


def _exempt_share(
    *, tax: rules.Tax, period: loads.BillingPeriod, exemptions: tuple[rules.Exemption, ...]
) -> fractions.Fraction:
    """Return the share of the period's tax that is not paid; on each day the largest exemption counts, alone."""
    own = [exemption for exemption in exemptions if exemption.tax_code == tax.code]
    if not own:
        return _NONE
    exempt = 0
    for day in (period.starts_on + datetime.timedelta(days=number) for number in range(period.days)):
        if tax.starts_on <= day and (tax.ends_on is None or day < tax.ends_on):
            exempt += max(
                (
                    each.share_micro
                    for each in own
                    if each.starts_on <= day and (each.ends_on is None or day < each.ends_on)
                ),
                default=0,
            )
    return fractions.Fraction(exempt, rules.WHOLE * period.days)


def _unit_line(
    *,
    kind: bill.LineKind,
    rule: rules.Rule,
    basis: rules.Basis,
    price_nano: int,
    measure: rules.Measure,
    sheet: _Sheet,
    share: fractions.Fraction,
) -> bill.Line | None:
    energy = sheet.billed_milliwh if measure is rules.Measure.BILLED else sheet.usage.import_milliwh
    quantity, unit, factor = {
        rules.Basis.KWH: (energy, "kWh", share),
        rules.Basis.KW: (sheet.usage.billing_demand_milliw, "kW", share),
        rules.Basis.DAY: (sheet.period.days * rules.WHOLE, "day", share),
        rules.Basis.MONTH: (rules.WHOLE, "month", share * sheet.months),
    }[basis]
    if basis is rules.Basis.DAY and (quantity * factor).denominator == 1:
        quantity, factor = int(quantity * factor), fractions.Fraction(1)
    line = bill.priced(
        kind=kind, label=rule.label, quantity_micro=quantity, unit=unit, unit_price_nano=price_nano, factor=factor
    )
    return line if line.amount_nano else None


def _percent_line(
    *, kind: bill.LineKind, rule: rules.Rule, base_nano: int, percent_micro: int, share: fractions.Fraction
) -> bill.Line | None:
    line = _of_base(
        kind=kind,
        label=f"{rule.label}, {decimal.Decimal(percent_micro).scaleb(-4).normalize():f} %",
        unit="base",
        base_nano=base_nano,
        factor=fractions.Fraction(percent_micro, rules.WHOLE) * share,
    )
    return line if line.amount_nano else None


def _of_base(*, kind: bill.LineKind, label: str, unit: str, base_nano: int, factor: fractions.Fraction) -> bill.Line:
    """Return a line of one base amount times a factor, exact before its one rounding to the nano-unit."""
    return bill.Line(
        kind=kind,
        label=label,
        quantity=bill.ONE,
        unit=unit,
        unit_price_nano=base_nano,
        amount_nano=bill.divide_half_even(base_nano * factor.numerator, factor.denominator),
        factor=factor,
    )


def _rounding(*, rated: Sequence[bill.Line], added: tuple[bill.Line, ...], reading: terms.Terms) -> bill.Line | None:
    if not added or reading.rounding is not bill.Rounding.BILL:
        return bill.rounding_line(lines=added, rounding=reading.rounding, minor_digits=reading.minor_digits)
    exact = tuple(line for line in rated if line.kind is not bill.LineKind.ROUNDING)
    whole = bill.rounding_line(lines=(*exact, *added), rounding=reading.rounding, minor_digits=reading.minor_digits)
    already = sum(line.amount_nano for line in rated if line.kind is bill.LineKind.ROUNDING)
    difference = (whole.amount_nano if whole else 0) - already
    if not difference:
        return None
    return bill.Line(
        kind=bill.LineKind.ROUNDING,
        label="Rounding to the minor unit by bill, riders and taxes included",
        quantity=bill.ONE,
        unit="bill",
        unit_price_nano=difference,
        amount_nano=difference,
    )


def _order(rule: rules.Rule) -> tuple[str, datetime.date, datetime.date]:
    return rule.code, rule.version, rule.starts_on
