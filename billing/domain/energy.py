"""Energy: mWh by time-of-use period, tiers met as the tariff says, whole mWh in every line."""

import fractions
from typing import cast

import numpy as np

from billing.domain import bill, loads, local_time, tariffs, terms


def by_period(*, energy: loads.Int64s, times: local_time.LocalTimes, schedule: tariffs.TimeOfUse) -> dict[int, int]:
    """Return the exact sum of `energy` in each period that some interval fell in."""
    periods = periods_of(times=times, schedule=schedule)
    return {int(period): int(energy[periods == period].sum()) for period in np.unique(periods)}


def periods_of(*, times: local_time.LocalTimes, schedule: tariffs.TimeOfUse) -> loads.Int64s:
    """Return the period of each interval by its local month, hour and kind of day."""
    weekday = np.asarray(schedule.weekday, dtype=np.int64)
    weekend = np.asarray(schedule.weekend, dtype=np.int64)
    rows = times.month - 1
    return np.where(times.is_weekend, weekend[rows, times.hour], weekday[rows, times.hour])


def upper_bounds(
    *,
    tiers: tuple[tariffs.EnergyTier, ...],
    reading: terms.TierReading,
    demand_milliw: int,
    days: int,
    factor: fractions.Fraction,
) -> list[tuple[int, int | None]]:
    """Return (tier, upper bound in mWh or None when open), in the order in which energy fills them.

    Bounds in kWh follow the length of the period, bounds per day its days, bounds per kW its billing demand.
    A tier per kW that is followed by tiers in kWh is a block: the kWh tiers are steps inside it and end with
    it, and the block's own price is not used.
    """
    counts_kw = reading is terms.TierReading.AS_WORDED or tiers[0].unit.is_per_kw
    bounds = [
        _bound(tier=tier, demand_milliw=demand_milliw if counts_kw else None, days=days, factor=factor)
        for tier in tiers
    ]
    if not tiers[0].unit.is_per_kw:
        return list(enumerate(bounds))
    filled: list[tuple[int, int | None]] = []
    limit: int | None = None
    for index, tier in enumerate(tiers):
        bound = bounds[index]
        if tier.unit.is_per_kw:
            limit = bound
            is_block = index + 1 < len(tiers) and not tiers[index + 1].unit.is_per_kw
            if not is_block:
                filled.append((index, bound))
        elif _is_below(bound, limit):
            filled.append((index, bound))
        elif not filled or _is_below(filled[-1][1], limit):
            filled.append((index, limit))
    return filled


def lines(
    *,
    charge: tariffs.EnergyCharge,
    energy_milliwh: dict[int, int],
    allocation: tariffs.TierAllocation,
    reading: terms.TierReading,
    demand_milliw: int,
    days: int,
    factor: fractions.Fraction,
    period_names: dict[int, str],
) -> list[bill.Line]:
    """Return a line for each period and tier that energy fell in; quantities sum to the energy exactly."""
    total = sum(energy_milliwh.values())
    found: list[bill.Line] = []
    for period, used in sorted(energy_milliwh.items()):
        if not used:
            continue
        tiers = charge.tiers[period]
        filling = used if allocation is tariffs.TierAllocation.EACH_PERIOD else total
        bounds = upper_bounds(tiers=tiers, reading=reading, demand_milliw=demand_milliw, days=days, factor=factor)
        for index, quantity in fill(bounds=bounds, reading=reading, filling=filling, used=used):
            tier = tiers[index]
            found.append(
                bill.priced(
                    kind=bill.LineKind.ENERGY,
                    label=label(name=period_names.get(period, ""), tier=index, tiers=len(tiers)),
                    quantity_micro=quantity,
                    unit="kWh",
                    unit_price_nano=tier.total_nano,
                    period=period,
                    tier=index,
                )
            )
    return found


def fuel_lines(
    *, adjustments_nano: tuple[int, ...], energy: loads.Int64s, times: local_time.LocalTimes
) -> list[bill.Line]:
    """Return the monthly fuel adjustment on the energy of each calendar month."""
    return [
        bill.priced(
            kind=bill.LineKind.FUEL_ADJUSTMENT,
            label=fuel_label(month=month),
            quantity_micro=quantity,
            unit="kWh",
            unit_price_nano=adjustments_nano[month - 1],
        )
        for month in (int(value) for value in np.unique(times.month))
        if adjustments_nano[month - 1] and (quantity := int(energy[times.month == month].sum()))
    ]


def fill(
    *, bounds: list[tuple[int, int | None]], reading: terms.TierReading, filling: int, used: int
) -> list[tuple[int, int]]:
    """Fill the tiers with `filling` mWh and return (tier, part) for the `used` of it.

    Shares are rounded on their running sum, so that they add up to `used` wherever every mWh has a price.
    """
    is_worded = reading is terms.TierReading.AS_WORDED
    parts: list[tuple[int, int]] = []
    below = taken = 0
    for place, (index, bound) in enumerate(bounds):
        is_open = bound is None or filling <= bound or (is_worded and place == len(bounds) - 1)
        upper = filling if is_open else cast("int", bound)
        if upper <= below and is_worded:
            continue
        running = bill.divide_half_even(upper * used, filling)
        if running != taken:
            parts.append((index, running - taken))
        below, taken = upper, running
        if is_open:
            break
    return parts


def _bound(*, tier: tariffs.EnergyTier, demand_milliw: int | None, days: int, factor: fractions.Fraction) -> int | None:
    if tier.upper_micro is None:
        return None
    scale = fractions.Fraction(days) if tier.unit.is_daily else factor
    if tier.unit.is_per_kw and demand_milliw is not None:
        scale = fractions.Fraction(demand_milliw, tariffs.MICRO) * (days if tier.unit.is_daily else 1)
    return int(tier.upper_micro * scale)


def _is_below(bound: int | None, other: int | None) -> bool:
    return bound is not None and (other is None or bound < other)


def label(*, name: str, tier: int, tiers: int) -> str:
    """Return what a line of energy is called; a price of one tier needs no number."""
    text = f"Energy, {name}" if name else "Energy"
    return f"{text}, tier {tier + 1}" if tiers > 1 else text


def fuel_label(*, month: int) -> str:
    """Return what the fuel adjustment of a calendar month (1 to 12) is called."""
    return f"Fuel adjustment, month {month}"
