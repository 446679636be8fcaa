"""Riders, discounts, taxes and exemptions: frozen values with the local days on which they count.

Percentages and shares are in millionths (8.25 % is 82_500), money in nano-units of the currency, energy in mWh and
demand in mW, as everywhere in rating. A rule that holds on some days of a period counts by their share of its real
days: 15 of 30 days are half a kWh, kW, month or percentage, and 15 days of a price per day.
"""

import dataclasses
import datetime
import enum

from billing.domain import bill, loads

WHOLE = 10**6


class Base(enum.StrEnum):
    """What a percentage may be taken of."""

    ENERGY = "energy"
    FUEL = "fuel"
    EXPORT = "export"
    DEMAND = "demand"
    FIXED = "fixed"
    MINIMUM = "minimum"
    RIDER = "rider"
    DISCOUNT = "discount"
    TAX = "tax"


class Basis(enum.StrEnum):
    """What a price is per."""

    KWH = "kwh"
    KW = "kw"
    DAY = "day"
    MONTH = "month"
    PERCENT = "percent"


class Measure(enum.StrEnum):
    """Which kWh a price per kWh counts.

    BILLED: those that energy lines price, net of what was given back where the tariff nets. DELIVERED: all that the
    meter took from the grid, for charges that nobody bypasses.
    """

    BILLED = "billed"
    DELIVERED = "delivered"


RATED = frozenset({Base.ENERGY, Base.FUEL, Base.EXPORT, Base.DEMAND, Base.FIXED, Base.MINIMUM})
BASE_OF = {
    bill.LineKind.ENERGY: Base.ENERGY,
    bill.LineKind.REAL_TIME: Base.ENERGY,
    bill.LineKind.FUEL_ADJUSTMENT: Base.FUEL,
    bill.LineKind.EXPORT_CREDIT: Base.EXPORT,
    bill.LineKind.DEMAND_FLAT: Base.DEMAND,
    bill.LineKind.DEMAND_TOU: Base.DEMAND,
    bill.LineKind.DEMAND_COINCIDENT: Base.DEMAND,
    bill.LineKind.REACTIVE: Base.DEMAND,
    bill.LineKind.FIXED: Base.FIXED,
    bill.LineKind.MINIMUM: Base.MINIMUM,
    bill.LineKind.RIDER: Base.RIDER,
    bill.LineKind.DISCOUNT: Base.DISCOUNT,
    bill.LineKind.TAX: Base.TAX,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every rule has: its code, its name, the first day of its version, and the local days on which it counts.

    The days are `[starts_on, ends_on)`, without an end for ever; they may be fewer than the version's own.
    """

    code: str
    name: str
    version: datetime.date
    starts_on: datetime.date
    ends_on: datetime.date | None = None

    def days_in(self, period: loads.BillingPeriod) -> int:
        """Return how many days of the period the rule counts on."""
        ends_on = period.ends_on if self.ends_on is None else min(self.ends_on, period.ends_on)
        return max(0, (ends_on - max(self.starts_on, period.starts_on)).days)

    @property
    def label(self) -> str:
        """Return the words of its line, version included."""
        return f"{self.name[:150]} ({self.code}, version {self.version})"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rider(Rule):
    """A charge beside the tariff; a price or percentage below zero gives back.

    `price_nano` is per unit of `basis`, `percent_micro` of the sum of `bases`, which rating priced. It is for the
    tariffs of `tariff_codes`, for all where that is empty.
    """

    basis: Basis
    price_nano: int = 0
    percent_micro: int = 0
    bases: frozenset[Base] = RATED
    measure: Measure = Measure.BILLED
    tariff_codes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check_bases(rule=self, bases=self.bases, allowed=RATED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Discount(Rule):
    """What a program takes off the bill of an account that is in it; all numbers are positive.

    A price per kWh is for the first `allowance_milliwh_per_day` of each day on average (a medical baseline), for
    all of them where that is None. A percentage of a sum below zero is nothing. `most_nano` is the most that is
    taken off a month; None does not limit it.
    """

    basis: Basis
    price_nano: int = 0
    percent_micro: int = 0
    bases: frozenset[Base] = RATED | {Base.RIDER}
    allowance_milliwh_per_day: int | None = None
    most_nano: int | None = None

    def __post_init__(self) -> None:
        _check_bases(rule=self, bases=self.bases, allowed=RATED | {Base.RIDER})
        if min(self.price_nano, self.percent_micro, self.allowance_milliwh_per_day or 0, self.most_nano or 0) < 0:
            raise ValueError(f"Discount {self.code} takes off; its numbers are not below zero.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tax(Rule):
    """A tax of a jurisdiction: per unit, or a percentage of the sum of `bases`.

    Taxes of one `stage` stand side by side: none sees another. A tax whose bases name TAX is compound: it is also
    taken of the taxes of earlier stages. With DISCOUNT among its bases it is taken after discounts. A sum below
    zero is taxed as nothing, unless `taxes_credits`: then the tax is given back.
    """

    jurisdiction: str
    basis: Basis = Basis.PERCENT
    price_nano: int = 0
    percent_micro: int = 0
    bases: frozenset[Base] = RATED | {Base.RIDER, Base.DISCOUNT}
    measure: Measure = Measure.BILLED
    stage: int = 1
    taxes_credits: bool = False

    @property
    def label(self) -> str:
        """Return the words of its line, jurisdiction and version included."""
        return f"{self.name[:100]}, {self.jurisdiction[:50]} ({self.code}, version {self.version})"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """An account pays `share_micro` less of a tax on the local days `[starts_on, ends_on)`; all where it is WHOLE."""

    tax_code: str
    starts_on: datetime.date
    ends_on: datetime.date | None = None
    share_micro: int = WHOLE

    def __post_init__(self) -> None:
        if not 0 <= self.share_micro <= WHOLE:
            raise ValueError("An exemption is of 0 to 100 %.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """All that adjusts one rated span. Nothing needs to be computed where it `is_empty`."""

    riders: tuple[Rider, ...] = ()
    discounts: tuple[Discount, ...] = ()
    taxes: tuple[Tax, ...] = ()
    exemptions: tuple[Exemption, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether no bill can be changed by them."""
        return not (self.riders or self.discounts or self.taxes)


def _check_bases(*, rule: Rule, bases: frozenset[Base], allowed: frozenset[Base]) -> None:
    if beyond := sorted(bases - allowed):
        raise ValueError(f"{rule.code} cannot be taken of {', '.join(beyond)}.")
