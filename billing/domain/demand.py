"""Demand: peaks in whole mW over the tariff's window, ratchets, and their prices by step."""

import dataclasses
import fractions

import numpy as np

from billing.domain import bill, loads, local_time, tariffs, terms

_NANO_KW_PER_HP = 745_699_872
_MONTHS_OF_A_YEAR_BACK = 11


@dataclasses.dataclass(frozen=True, slots=True)
class PastPeak:
    """The highest demand of an earlier calendar month, in mW."""

    year: int
    month: int
    peak_milliw: int


def powers_milliw(
    *, load: loads.IntervalSeries, window_minutes: int | None, metering: tariffs.Metering
) -> loads.Int64s:
    """Return the mean power of each interval taken from the grid, in mW, rounded down.

    With a window longer than the interval, the mean of the clock-aligned window that the interval lies in.
    Exports lower demand, not below zero, unless all is bought and all is sold through meters of their own.
    """
    is_apart = metering is tariffs.Metering.BUY_ALL_SELL_ALL
    energy = load.import_milliwh if is_apart else np.maximum(load.net_milliwh, 0)
    seconds = load.seconds
    if window_minutes is not None and len(load) and window_minutes * 60 > int(seconds.min()):
        windows = load.starts // (window_minutes * 60)
        _, first, group = np.unique(windows, return_index=True, return_inverse=True)
        energy = np.add.reduceat(energy, first)[group]
        seconds = np.add.reduceat(seconds, first)[group]
    return energy * loads.SECONDS_PER_HOUR // seconds


def billing_demand_milliw(
    *,
    peak_milliw: int,
    ratchet: tariffs.Ratchet | None,
    reading: terms.RatchetReading,
    month: tuple[int, int],
    history: tuple[PastPeak, ...],
) -> int:
    """Return the demand that is billed in (year, month) after the tariff's ratchet, in mW, rounded down."""
    if ratchet is None:
        return peak_milliw
    now = month[0] * 12 + month[1]
    if reading is terms.RatchetReading.REFERENCE:
        reach = ratchet.range_months + (ratchet.range_months >= month[1] - 1)
        past = [item.peak_milliw for item in history if 0 < now - (item.year * 12 + item.month) <= reach]
        return max([peak_milliw, *past]) * ratchet.percent_micro // tariffs.MICRO
    reach = ratchet.range_months or _MONTHS_OF_A_YEAR_BACK
    past = [
        item.peak_milliw
        for item in history
        if 0 < now - (item.year * 12 + item.month) <= reach and ratchet.months[item.month - 1]
    ]
    return max([peak_milliw, *(peak * ratchet.percent_micro // tariffs.MICRO for peak in past)])


def flat_lines(
    *,
    charge: tariffs.FlatDemandCharge,
    peaks: loads.Int64s,
    times: local_time.LocalTimes,
    billed_milliw: int,
    shares: terms.MonthShares,
    reading: terms.Terms,
) -> list[bill.Line]:
    """Return the price of the billing period's peak; months of different prices take their share of it."""
    is_each_day = _is_each_day(charge.daily, reading)
    demands = _daily_peaks(peaks, times) if is_each_day else [billed_milliw]
    lines: list[bill.Line] = []
    for period in dict.fromkeys(charge.months[month - 1] for month, _ in shares.shares):
        months = frozenset(month for month in range(1, 13) if charge.months[month - 1] == period)
        factor = fractions.Fraction(1) if is_each_day else shares.where(months)
        for demand_milliw in demands:
            lines += _stepped(
                tiers=charge.tiers[period],
                demand_milliw=demand_milliw,
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
    charge: tariffs.TimeOfUseDemandCharge,
    peaks: loads.Int64s,
    times: local_time.LocalTimes,
    ratcheted_milliw: int | None,
    shares: terms.MonthShares,
    reading: terms.Terms,
) -> list[bill.Line]:
    """Return the price of the peak in each time-of-use period; `ratcheted_milliw` stands for all of them if given."""
    weekday = np.asarray(charge.schedule.weekday)
    weekend = np.asarray(charge.schedule.weekend)
    periods = np.where(times.is_weekend, weekend[times.month - 1, times.hour], weekday[times.month - 1, times.hour])
    touched = touched_periods(charge=charge, shares=shares)
    is_each_day = _is_each_day(charge.daily, reading)
    lines: list[bill.Line] = []
    for period in touched:
        inside = periods == period
        if is_each_day:
            demands = _daily_peaks(peaks[inside], times, inside)
        elif ratcheted_milliw is not None:
            demands = [ratcheted_milliw]
        else:
            demands = [int(peaks[inside].max())] if inside.any() else []
        for demand_milliw in demands:
            lines += _stepped(
                tiers=charge.tiers[period],
                demand_milliw=demand_milliw,
                kind=bill.LineKind.DEMAND_TOU,
                label=period_label(period=period, touched=len(touched)),
                unit=charge.unit,
                period=period,
                factor=fractions.Fraction(1) if is_each_day else share_of(charge=charge, period=period, shares=shares),
                reading=reading,
            )
    return lines


def touched_periods(*, charge: tariffs.TimeOfUseDemandCharge, shares: terms.MonthShares) -> list[int]:
    """Return the periods that the months of a bill have, in order."""
    return sorted({period for month, _ in shares.shares for period in charge.schedule.periods_in(month=month)})


def share_of(*, charge: tariffs.TimeOfUseDemandCharge, period: int, shares: terms.MonthShares) -> fractions.Fraction:
    """Return the share of the months that have a period."""
    return shares.where(frozenset(m for m in range(1, 13) if period in charge.schedule.periods_in(month=m)))


def coincident_lines(
    *,
    charge: tariffs.TimeOfUseDemandCharge,
    load: loads.IntervalSeries,
    peaks: loads.Int64s,
    times: local_time.LocalTimes,
    reading: terms.Terms,
) -> list[bill.Line]:
    """Return the price of the demand at each of the utility's system peaks that falls into the load."""
    lines: list[bill.Line] = []
    for instant in sorted(reading.system_peaks):
        at = int(np.searchsorted(load.starts, int(instant.timestamp()), side="right")) - 1
        if at < 0 or int(instant.timestamp()) >= int(load.starts[at] + load.seconds[at]):
            continue
        rows = charge.schedule.weekend if times.is_weekend[at] else charge.schedule.weekday
        period = rows[int(times.month[at]) - 1][int(times.hour[at])]
        lines += _stepped(
            tiers=charge.tiers[period],
            demand_milliw=int(peaks[at]),
            kind=bill.LineKind.DEMAND_COINCIDENT,
            label=f"Demand at the system peak of {instant:%Y-%m-%d %H:%M %Z}".rstrip(),
            unit=charge.unit,
            period=period,
            factor=fractions.Fraction(1),
            reading=reading,
        )
    return lines


def reactive_lines(*, price_nano: int, load: loads.IntervalSeries, shares: terms.MonthShares) -> list[bill.Line]:
    """Return the price per kvar of the highest mean reactive power of the period, rounded down to the mvar."""
    if load.reactive_millivarh is None or not len(load):
        return []
    highest = int((np.maximum(load.reactive_millivarh, 0) * loads.SECONDS_PER_HOUR // load.seconds).max())
    return [
        bill.priced(
            kind=bill.LineKind.REACTIVE,
            label="Reactive demand",
            quantity_micro=highest,
            unit="kvar",
            unit_price_nano=price_nano,
            factor=shares.factor,
        )
    ]


def period_label(*, period: int, touched: int) -> str:
    """Return what the demand of a time-of-use period is called, by how many periods the bill has."""
    return f"Demand, period {period + 1}" if touched > 1 else "Demand"


def step_label(*, label: str, step: int, steps: int) -> str:
    """Return what a step of a demand price is called; one step needs no number."""
    return f"{label}, step {step + 1}" if steps > 1 else label


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
    tiers: tuple[tariffs.DemandTier, ...],
    demand_milliw: int,
    kind: bill.LineKind,
    label: str,
    unit: tariffs.DemandUnit,
    period: int,
    factor: fractions.Fraction,
    reading: terms.Terms,
) -> list[bill.Line]:
    quantity = _in_unit(demand_milliw=demand_milliw, unit=unit, reading=reading)
    lines: list[bill.Line] = []
    lower = 0
    for index, tier in enumerate(tiers):
        upper = quantity if tier.upper_micro is None else min(quantity, tier.upper_micro)
        if upper > lower and tier.total_nano:
            lines.append(
                bill.priced(
                    kind=kind,
                    label=step_label(label=label, step=index, steps=len(tiers)),
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


def _in_unit(*, demand_milliw: int, unit: tariffs.DemandUnit, reading: terms.Terms) -> int:
    """Return millionths of the unit that a demand in mW counts as, rounded down."""
    if reading.demand_conversion is terms.DemandConversion.NUMBER_FOR_NUMBER or unit is tariffs.DemandUnit.KW:
        return demand_milliw
    if unit is tariffs.DemandUnit.KVA:
        return demand_milliw * tariffs.MICRO // reading.power_factor_micro
    return demand_milliw * tariffs.NANO // _NANO_KW_PER_HP
