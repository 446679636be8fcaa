"""What rating answers: lines in nano-units of the currency that sum to the total, always."""

import dataclasses
import decimal
import enum
import fractions
from collections.abc import Sequence

from billing.domain import loads, tariffs

ONE = decimal.Decimal(1)


class LineKind(enum.StrEnum):
    """What a line is for; the first word of a bill's arithmetic."""

    ENERGY = "energy"
    REAL_TIME = "real_time"
    FUEL_ADJUSTMENT = "fuel_adjustment"
    EXPORT_CREDIT = "export_credit"
    DEMAND_FLAT = "demand_flat"
    DEMAND_TOU = "demand_tou"
    DEMAND_COINCIDENT = "demand_coincident"
    REACTIVE = "reactive"
    FIXED = "fixed"
    MINIMUM = "minimum"
    RIDER = "rider"
    DISCOUNT = "discount"
    TAX = "tax"
    CREDIT = "credit"
    BUDGET = "budget"
    PREPAID = "prepaid"
    BROUGHT_FORWARD = "brought_forward"
    CREDIT_USED = "credit_used"
    PAID_BEFORE = "paid_before"
    ROUNDING = "rounding"


class Component(enum.StrEnum):
    """The columns in which rating engines are compared."""

    TOTAL = "total"
    ENERGY = "energy"
    DEMAND_FLAT = "dem_flat"
    DEMAND_TOU = "dem_tou"
    FIXED = "fixed"
    MINIMUM = "minimum"


COMPONENT_OF = {
    LineKind.ENERGY: Component.ENERGY,
    LineKind.REAL_TIME: Component.ENERGY,
    LineKind.FUEL_ADJUSTMENT: Component.ENERGY,
    LineKind.EXPORT_CREDIT: Component.ENERGY,
    LineKind.DEMAND_FLAT: Component.DEMAND_FLAT,
    LineKind.DEMAND_TOU: Component.DEMAND_TOU,
    LineKind.DEMAND_COINCIDENT: Component.DEMAND_TOU,
    LineKind.REACTIVE: Component.DEMAND_FLAT,
    LineKind.FIXED: Component.FIXED,
    LineKind.MINIMUM: Component.MINIMUM,
}


class Rounding(enum.StrEnum):
    """Where amounts become whole minor units of the currency, half up."""

    LINE = "line"
    COMPONENT = "component"
    BILL = "bill"


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One row of a bill.

    `amount_nano` is `quantity` x `unit_price_nano` x `factor`, rounded half to even to the nano-unit; `factor`
    is the share of a month where the billing period is not a whole one. `period` and `tier` count from 0 as the
    tariff does.
    """

    kind: LineKind
    label: str
    quantity: decimal.Decimal
    unit: str
    unit_price_nano: int
    amount_nano: int
    period: int | None = None
    tier: int | None = None
    factor: fractions.Fraction = fractions.Fraction(1)


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """What the bill was reckoned on: energy in mWh, demand in mW."""

    import_milliwh: int
    export_milliwh: int
    peak_milliw: int
    billing_demand_milliw: int


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """Readings in a bill that the meter did not give: how they came about, how many, and their energy in mWh."""

    method: str
    intervals: int
    import_milliwh: int
    export_milliwh: int


@dataclasses.dataclass(frozen=True, slots=True)
class RatedBill:
    """A rated billing period. `omissions` names each charge of the tariff that could not be priced, and why.

    `carried_milliwh` is what net metering carries to the next period, by time-of-use period. `estimates` are among the
    readings; `prices_known_at` (RFC 3339) says which real-time prices were used: those known at that instant.
    """

    tariff_label: str
    currency: str
    period: loads.BillingPeriod
    lines: tuple[Line, ...]
    usage: Usage
    omissions: tuple[str, ...] = ()
    carried_milliwh: tuple[tuple[int, int], ...] = ()
    estimates: tuple[Estimate, ...] = ()
    prices_known_at: str = ""

    @property
    def total_nano(self) -> int:
        """Return what is due, rounding included: a whole number of minor units."""
        return sum(line.amount_nano for line in self.lines)

    @property
    def exact_nano(self) -> int:
        """Return the amount before rounding to the currency."""
        return sum(line.amount_nano for line in self.lines if line.kind is not LineKind.ROUNDING)

    @property
    def total(self) -> decimal.Decimal:
        """Return what is due in the currency."""
        return decimal.Decimal(self.total_nano).scaleb(-9).normalize() + decimal.Decimal("0.00")

    def component_nano(self, component: Component) -> int:
        """Return one column of the comparison with other engines, before rounding to the currency."""
        if component is Component.TOTAL:
            return self.exact_nano
        return sum(line.amount_nano for line in self.lines if COMPONENT_OF.get(line.kind) is component)


def priced(
    *,
    kind: LineKind,
    label: str,
    quantity_micro: int,
    unit: str,
    unit_price_nano: int,
    period: int | None = None,
    tier: int | None = None,
    factor: fractions.Fraction = fractions.Fraction(1),
) -> Line:
    """Return a line for `quantity_micro` millionths of a unit (mWh of a kWh, mW of a kW)."""
    return Line(
        kind=kind,
        label=label,
        quantity=plain(decimal.Decimal(quantity_micro).scaleb(-6)),
        unit=unit,
        unit_price_nano=unit_price_nano,
        amount_nano=divide_half_even(
            quantity_micro * unit_price_nano * factor.numerator, tariffs.MICRO * factor.denominator
        ),
        period=period,
        tier=tier,
        factor=factor,
    )


def rounding_line(*, lines: tuple[Line, ...], rounding: Rounding, minor_digits: int) -> Line | None:
    """Return the line that makes the sum whole minor units, or None when it already is."""
    groups: dict[object, int] = {}
    for index, line in enumerate(lines):
        key: object = {
            Rounding.LINE: index,
            Rounding.COMPONENT: COMPONENT_OF.get(line.kind, line.kind),
            Rounding.BILL: 0,
        }[rounding]
        groups[key] = groups.get(key, 0) + line.amount_nano
    difference = sum(_round_half_up(amount, 10 ** (9 - minor_digits)) - amount for amount in groups.values())
    if not difference:
        return None
    return Line(
        kind=LineKind.ROUNDING,
        label=rounding_label(rounding),
        quantity=ONE,
        unit="bill",
        unit_price_nano=difference,
        amount_nano=difference,
    )


def rounding_label(rounding: Rounding) -> str:
    """Return what the line of the rounding difference is called."""
    return f"Rounding to the minor unit by {rounding.value}"


def plain(value: decimal.Decimal) -> decimal.Decimal:
    """Drop trailing zeros without falling into exponents."""
    return value.quantize(ONE) if value == value.to_integral_value() else value.normalize()


_METHODS = {
    "estimated": "by who delivered them",
    "interpolated": "from the readings before and after",
    "like_day": "from like days before",
    "profiled": "from a profile",
}


def add_up(*, estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return one estimate for each method, in the order in which methods come."""
    found: dict[str, Estimate] = {}
    for each in estimates:
        before = found.get(each.method, Estimate(each.method, 0, 0, 0))
        found[each.method] = Estimate(
            each.method,
            before.intervals + each.intervals,
            before.import_milliwh + each.import_milliwh,
            before.export_milliwh + each.export_milliwh,
        )
    return list(found.values())


def describe(*, estimates: Sequence[Estimate]) -> str:
    """Return in words what was estimated and how; empty where nothing was."""
    if not estimates:
        return ""
    parts = [
        f"{each.intervals} intervals ({decimal.Decimal(each.import_milliwh + each.export_milliwh).scaleb(-6):.1f} kWh) "
        f"{_METHODS.get(each.method, each.method)}"
        for each in estimates
    ]
    return f"Estimated readings: {', '.join(parts)}. When the meter's own come, the bill is reckoned again."


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide whole numbers, rounding half to even."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        quotient += 1
    return quotient


def _round_half_up(amount: int, step: int) -> int:
    """Round to a multiple of `step`, halves away from zero."""
    rounded = (2 * abs(amount) + step) // (2 * step) * step
    return rounded if amount >= 0 else -rounded
