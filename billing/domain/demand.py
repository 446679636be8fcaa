"""Demand: peaks in whole mW over the tariff's window, ratchets, and their prices by step."""

import dataclasses
import fractions

import numpy as np

from billing.domain import bill, loads, local_time, tariff, terms

_MW_PER_HP = 745_699_872  # nano: 1 hp is 0.745699872 kW


@dataclasses.dataclass(frozen=True, slots=True)
class PastPeak:
    """The highest demand of an earlier calendar month, in mW."""

    year: int
    month: int
    peak_mw: int


def powers_mw(*, load: loads.IntervalSeries, window_minutes: int | None) -> loads.Int64s:
    """Return the mean power of each interval taken from the grid, in mW, rounded down.

    With a window longer than the interval, the mean of the clock-aligned window that the interval lies in.
    Exports do not lower demand below zero.
    """
    energy = np.maximum(load.net_mwh, 0)
    seconds = load.seconds
    if window_minutes is not None and len(load) and window_minutes * 60 > int(seconds.min()):
        windows = load.starts // (window_minutes * 60)
        _, first, group = np.unique(windows, return_index=True, return_inverse=True)
        energy = np.add.reduceat(energy, first)[group]
        seconds = np.add.reduceat(seconds, first)[group]
    return energy * loads.SECONDS_PER_HOUR // seconds


def billing_demand_mw(
    *,
    peak_mw: int,
    ratchet: tariff.Ratchet | None,
    month: tuple[int, int],
    history: tuple[PastPeak, ...],
) -> int:
    """Return the demand that is billed in (year, month) after the tariff's ratchet, in mW, rounded down."""
    if ratchet is None:
        return peak_mw
    now = month[0] * 12 + month[1]
    reach = ratchet.range_months
    if not reach and ratchet.reading is tariff.RatchetReading.AT_LEAST_CURRENT_PEAK:
        reach = 11
    past = [
        item.peak_mw
        for item in history
        if 0 < now - (item.year * 12 + item.month) <= reach and ratchet.months[item.month - 1]
    ]
    if ratchet.reading is tariff.RatchetReading.PERCENT_OF_WINDOW:
        return max([peak_mw, *past]) * ratchet.percent_micro // tariff.MICRO
    return max([peak_mw, *(peak * ratchet.percent_micro // tariff.MICRO for peak in past)])


def flat_lines(
    *,
    charge: tariff.FlatDemandCharge,
    peaks: loads.Int64s,
    times: local_time.LocalTimes,
    billed_mw: int,
    shares: terms.MonthShares,
    reading: terms.Terms,
) -> list[bill.Line]:
    """Return the price of the billing period's peak; months of different prices take their share of it."""
    demands = _daily_peaks(peaks, times) if _is_each_day(charge.daily, reading) else [billed_mw]
    lines: list[bill.Line] = []
    for period in dict.fromkeys(charge.months[month - 1] for month, _ in shares.shares):
        months = frozenset(month for month in range(1, 13) if charge.months[month - 1] == period)
        factor = fractions.Fraction(1) if len(demands) > 1 else shares.where(months)
        for demand_mw in demands:
            lines += _stepped(
                tiers=charge.tiers[period],
                demand_mw=demand_mw,
                kind=bill.LineKind.DEMAND_FLAT,
                label="Demand",
                unit=charge.unit,
                period=period,
                factor=factor,
                reading=reading,
            )
    return lines


def time_of_use_lines(
    *,
    charge: tariff.TimeOfUseDemandCharge,
    peaks: loads.Int64s,
    times: local_time.LocalTimes,
    ratcheted_mw: int | None,
    shares: terms.MonthShares,
    reading: terms.Terms,
) -> list[bill.Line]:
    """Return the price of the peak in each time-of-use period; `ratcheted_mw` stands for all of them if given."""
    weekday = np.asarray(charge.schedule.weekday)
    weekend = np.asarray(charge.schedule.weekend)
    periods = np.where(times.is_weekend, weekend[times.month - 1, times.hour], weekday[times.month - 1, times.hour])
    touched = sorted({p for month, _ in shares.shares for p in charge.schedule.periods_in(month=month)})
    lines: list[bill.Line] = []
    for period in touched:
        inside = periods == period
        months = frozenset(m for m in range(1, 13) if period in charge.schedule.periods_in(month=m))
        if _is_each_day(charge.daily, reading):
            demands = _daily_peaks(peaks[inside], times, inside)
        elif ratcheted_mw is not None:
            demands = [ratcheted_mw]
        else:
            demands = [int(peaks[inside].max())] if inside.any() else []
        for demand_mw in demands:
            lines += _stepped(
                tiers=charge.tiers[period],
                demand_mw=demand_mw,
                kind=bill.LineKind.DEMAND_TOU,
                label=f"Demand, period {period + 1}" if len(touched) > 1 else "Demand",
                unit=charge.unit,
                period=period,
                factor=fractions.Fraction(1) if _is_each_day(charge.daily, reading) else shares.where(months),
                reading=reading,
            )
    return lines


def _is_each_day(daily: bool, reading: terms.Terms) -> bool:  # noqa: FBT001
    return daily and reading.daily_demand is terms.DailyDemand.EACH_DAY


def _daily_peaks(
    peaks: loads.Int64s, times: local_time.LocalTimes, inside: np.typing.NDArray[np.bool_] | None = None
) -> list[int]:
    days = times.day if inside is None else times.day[inside]
    if not len(days):
        return []
    return [int(peak) for peak in np.maximum.reduceat(peaks, np.unique(days, return_index=True)[1])]


def _stepped(
    *,
    tiers: tuple[tariff.DemandTier, ...],
    demand_mw: int,
    kind: bill.LineKind,
    label: str,
    unit: tariff.DemandUnit,
    period: int,
    factor: fractions.Fraction,
    reading: terms.Terms,
) -> list[bill.Line]:
    quantity = _in_unit(demand_mw=demand_mw, unit=unit, reading=reading)
    lines: list[bill.Line] = []
    lower = 0
    for index, tier in enumerate(tiers):
        upper = quantity if tier.upper_micro is None else min(quantity, tier.upper_micro)
        if upper > lower and tier.total_nano:
            lines.append(
                bill.priced(
                    kind=kind,
                    label=f"{label}, step {index + 1}" if len(tiers) > 1 else label,
                    quantity_micro=upper - lower,
                    unit=unit.value,
                    unit_price_nano=tier.total_nano,
                    period=period,
                    tier=index,
                    factor=factor,
                )
            )
        lower = max(lower, upper)
    return lines


def _in_unit(*, demand_mw: int, unit: tariff.DemandUnit, reading: terms.Terms) -> int:
    """Return millionths of the unit that a demand in mW counts as, rounded down."""
    if reading.demand_conversion is terms.DemandConversion.NUMBER_FOR_NUMBER or unit is tariff.DemandUnit.KW:
        return demand_mw
    if unit is tariff.DemandUnit.KVA:
        return demand_mw * tariff.MICRO // reading.power_factor_micro
    return demand_mw * tariff.NANO // _MW_PER_HP
