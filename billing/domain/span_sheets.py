"""What a bill run's spans of one tariff version and the same local days share: prices, slots, and what lines are."""

import dataclasses
import fractions
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from billing.domain import (
    batch,
    bill,
    demand,
    energy,
    loads,
    net_metering,
    packed_lines,
    period_names,
    rating,
    tariffs,
    terms,
)

MONTHS_REMEMBERED = 24


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Sheet:
    """What the spans of a group share.

    `places` are the kernel's slots in the order of the bill's lines, `prices` the unit prices of the layout's
    templates; the last ones, minimums and rounding, have none: their price is their amount.
    """

    tariff: tariffs.Tariff
    reading: terms.Terms
    period: loads.BillingPeriod
    layout: packed_lines.Layout
    places: loads.Int64s
    prices: loads.Int64s
    fixed: tuple[bill.Line, ...]
    slots: int
    months: loads.Int64s
    share: loads.Int64s
    arguments: tuple[Any, ...]

    @property
    def periods(self) -> int:
        """Return how many periods energy has."""
        return len(self.tariff.energy.tiers) if self.tariff.energy else 0


def can_rate(*, tariff: tariffs.Tariff, reading: terms.Terms, interval_seconds: int) -> bool:
    """Say whether groups of this tariff can be rated at once: no charge needs more than hours and peaks."""
    window = tariff.demand_window_minutes
    return (
        batch.can_rate(tariff=tariff, reading=reading)
        and loads.SECONDS_PER_HOUR % interval_seconds == 0
        and tariff.reactive_nano_per_kvar is None
        and (window is None or window * 60 <= interval_seconds)
        and (tariff.ratchet is None or tariff.ratchet.range_months < MONTHS_REMEMBERED)
    )


def remembers(*, tariff: tariffs.Tariff) -> bool:
    """Say whether a bill of this tariff depends on the bills before it."""
    return (
        tariff.ratchet is not None
        or tariff.metering is tariffs.Metering.NET_METERING
        or any(minimum.per is tariffs.ChargePer.YEAR for minimum in tariff.minimums)
    )


def prepare(
    *,
    tariff: tariffs.Tariff,
    tariff_id: int,
    reading: terms.Terms,
    period: loads.BillingPeriod,
    interval_seconds: int,
) -> Sheet:
    """Return what the spans of a group share.

    :raises ValueError: see `can_rate`.
    """
    compiled = batch.compile_tariff(tariff=tariff, reading=reading)
    charge = cast("tariffs.EnergyCharge", tariff.energy)
    shares = terms.month_shares(period=period, terms=reading)
    slots = _Slots(tariff=tariff, charge=charge, shares=shares)
    slots.add_energy()
    slots.add_credits()
    slots.add_fuel()
    slots.add_demand()
    fixed = tuple(rating.fixed_lines(tariff=tariff, period=period, shares=shares, reading=reading))
    ends = [
        packed_lines.Template(bill.LineKind.MINIMUM, rating.minimum_label(minimum), "bill")
        for minimum in tariff.minimums
    ]
    ends.append(packed_lines.Template(bill.LineKind.ROUNDING, bill.rounding_label(reading.rounding), "bill"))
    values = list(compiled.arguments)
    flat_shares, tou_shares = slots.demand_shares()
    return Sheet(
        tariff=tariff,
        reading=reading,
        period=period,
        layout=packed_lines.Layout(
            tariff_id=tariff_id,
            starts_on=period.starts_on,
            ends_on=period.ends_on,
            templates=(*slots.templates, *map(packed_lines.Template.of, fixed), *ends),
            omissions=tuple(
                rating.omissions_of(
                    tariff=tariff, reading=reading, has_reactive=False, longest_seconds=interval_seconds
                )
            ),
        ),
        places=np.array(slots.places, dtype=np.int64),
        prices=np.array([*slots.prices, *(line.unit_price_nano for line in fixed)], dtype=np.int64),
        fixed=fixed,
        slots=slots.count,
        months=np.array([month - 1 for month, _ in shares.shares], dtype=np.int64),
        share=np.array([shares.factor.numerator, shares.factor.denominator], dtype=np.int64),
        arguments=(*values[:9], *values[10:13], flat_shares, *values[13:17], tou_shares, *values[17:]),
    )


class _Slots:
    """The kernel's slots, gathered in the order in which `rating` writes a bill's lines."""

    def __init__(self, *, tariff: tariffs.Tariff, charge: tariffs.EnergyCharge, shares: terms.MonthShares) -> None:
        self._tariff, self._charge, self._shares = tariff, charge, shares
        self._width = max(len(tiers) for tiers in charge.tiers)
        self._flat = tariff.flat_demand.tiers if tariff.flat_demand else ()
        self._tou = tariff.tou_demand.tiers if tariff.tou_demand else ()
        flat_width = max((len(steps) for steps in self._flat), default=0)
        tou_width = max((len(steps) for steps in self._tou), default=0)
        self._flat_at = len(charge.tiers) * self._width
        self._tou_at = self._flat_at + len(self._flat) * flat_width
        self._fuel_at = self._tou_at + len(self._tou) * tou_width
        self._sold_at = self._fuel_at + len(shares.shares)
        self._flat_width, self._tou_width = flat_width, tou_width
        self.count = self._sold_at + len(charge.tiers) * self._width
        self.templates: list[packed_lines.Template] = []
        self.places: list[int] = []
        self.prices: list[int] = []

    def add_energy(self) -> None:
        names = period_names.name_periods(
            schedule=self._charge.schedule, months=frozenset(month for month, _ in self._shares.shares)
        )
        self._add_tiers(
            kind=bill.LineKind.ENERGY,
            first=0,
            label=lambda p, t: energy.label(name=names.get(p, ""), tier=t, tiers=len(self._charge.tiers[p])),
            price=lambda tier: tier.total_nano,
        )

    def add_credits(self) -> None:
        self._add_tiers(
            kind=bill.LineKind.EXPORT_CREDIT,
            first=self._sold_at,
            label=lambda p, t: net_metering.credit_label(charge=self._charge, period=p, tier=t),
            price=lambda tier: -(tier.sell_nano or 0),
        )

    def add_fuel(self) -> None:
        adjustments = self._tariff.fuel_adjustments_nano
        if adjustments is None:
            return
        # Lines stand in the order of the months' numbers, slots in that of the days.
        for month, part in sorted((month, part) for part, (month, _) in enumerate(self._shares.shares)):
            template = packed_lines.Template(bill.LineKind.FUEL_ADJUSTMENT, energy.fuel_label(month=month), "kWh")
            self._add(template, self._fuel_at + part, adjustments[month - 1])

    def add_demand(self) -> None:
        flat, tou = self._tariff.flat_demand, self._tariff.tou_demand
        if flat is not None:
            for period in dict.fromkeys(flat.months[month - 1] for month, _ in self._shares.shares):
                self._add_steps(
                    kind=bill.LineKind.DEMAND_FLAT,
                    label="Demand",
                    charge=flat,
                    period=period,
                    first=self._flat_at + period * self._flat_width,
                    factor=self._flat_share(flat, period),
                )
        if tou is not None:
            touched = demand.touched_periods(charge=tou, shares=self._shares)
            for period in touched:
                self._add_steps(
                    kind=bill.LineKind.DEMAND_TOU,
                    label=demand.period_label(period=period, touched=len(touched)),
                    charge=tou,
                    period=period,
                    first=self._tou_at + period * self._tou_width,
                    factor=demand.share_of(charge=tou, period=period, shares=self._shares),
                )

    def demand_shares(self) -> tuple[loads.Int64s, loads.Int64s]:
        """Return numerator and denominator of each demand period's share; 0 over 1 where it is not touched."""
        flat, tou = self._tariff.flat_demand, self._tariff.tou_demand
        return (
            _fractions([self._flat_share(flat, p) for p in range(len(flat.tiers))] if flat else []),
            _fractions(
                [demand.share_of(charge=tou, period=p, shares=self._shares) for p in range(len(tou.tiers))]
                if tou
                else []
            ),
        )

    def _flat_share(self, charge: tariffs.FlatDemandCharge, period: int) -> fractions.Fraction:
        return self._shares.where(frozenset(m for m in range(1, 13) if charge.months[m - 1] == period))

    def _add_tiers(
        self,
        *,
        kind: bill.LineKind,
        first: int,
        label: Callable[[int, int], str],
        price: Callable[[tariffs.EnergyTier], int],
    ) -> None:
        for p, tiers in enumerate(self._charge.tiers):
            for t, tier in enumerate(tiers):
                template = packed_lines.Template(kind, label(p, t), "kWh", p, t)
                self._add(template, first + p * self._width + t, price(tier))

    def _add_steps(
        self,
        *,
        kind: bill.LineKind,
        label: str,
        charge: tariffs.FlatDemandCharge | tariffs.TimeOfUseDemandCharge,
        period: int,
        first: int,
        factor: fractions.Fraction,
    ) -> None:
        steps = charge.tiers[period]
        for place, step in enumerate(steps):
            name = demand.step_label(label=label, step=place, steps=len(steps))
            template = packed_lines.Template(kind, name, charge.unit.value, period, place, factor)
            self._add(template, first + place, step.total_nano)

    def _add(self, template: packed_lines.Template, place: int, price_nano: int) -> None:
        self.templates.append(template)
        self.places.append(place)
        self.prices.append(price_nano)


def _fractions(shares: list[fractions.Fraction]) -> loads.Int64s:
    return np.array([(share.numerator, share.denominator) for share in shares], dtype=np.int64).reshape(-1, 2)
