"""Many loads on many tariffs: whole calendar months, the same nano-units as `rating`, a thousand times faster.

A load is first added up by calendar month, kind of day and hour; that is all that a price depends on, and each
tariff then reads 48 numbers a month. What the kernel does not know (see `can_rate`) goes through `rating`.
"""

import dataclasses
import datetime
import functools
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from billing.domain import bill, kernels, loads, local_time, net_metering, tariffs, terms

MONTHS = tariffs.MONTHS


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """Loads by cell, [loads, bills, 48], each bill a calendar month.

    `sums` is what was taken less what was given, mWh; `peaks` the highest power taken, mW. Where something was
    given, `apart` holds what was (bought, sold) and the peaks by each rule that does not net a whole month.
    """

    sums: loads.Int64s
    peaks: loads.Int64s
    months: loads.Int64s
    days: loads.Int64s
    apart: Mapping[tariffs.Metering, tuple[loads.Int64s, loads.Int64s, loads.Int64s]] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Rated:
    """Amounts in nano-units by slot, [loads, bills, slots], and what each slot is (`Compiled.slots`)."""

    quantities: loads.Int64s
    amounts: loads.Int64s
    demands: loads.Int64s
    fixed: loads.Int64s
    minimums: loads.Int64s
    compiled: "Compiled"

    def component(self, component: bill.Component) -> loads.Int64s:
        """Return one column of the comparison, [loads, bills], nano-units before rounding to the currency."""
        match component:
            case bill.Component.FIXED:
                return np.broadcast_to(self.fixed, self.minimums.shape)
            case bill.Component.MINIMUM:
                return self.minimums
            case bill.Component.TOTAL:
                return self.amounts.sum(axis=2) + self.fixed + self.minimums
        chosen = [i for i, slot in enumerate(self.compiled.slots) if bill.COMPONENT_OF[slot.kind] is component]
        return self.amounts[:, :, chosen].sum(axis=2)


@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """One possible line of a tariff's bills."""

    kind: bill.LineKind
    period: int
    tier: int
    unit: str
    unit_price_nano: int


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Compiled:
    """A tariff as arrays."""

    tariff: tariffs.Tariff
    carry_targets: loads.Int64s
    arguments: tuple[object, ...]
    slots: tuple[Slot, ...]


def can_rate(*, tariff: tariffs.Tariff, reading: terms.Terms) -> bool:
    """Say whether the kernel knows all of the tariff's charges under this reading."""
    demand_charges = [charge for charge in (tariff.flat_demand, tariff.tou_demand) if charge is not None]
    return (
        tariff.energy is not None
        and reading.true_up_month is None
        and not reading.real_time_index
        and not (tariff.coincident_demand is not None and reading.system_peaks)
        and not any(charge.daily for charge in demand_charges if reading.daily_demand is terms.DailyDemand.EACH_DAY)
        and (
            reading.demand_conversion is terms.DemandConversion.NUMBER_FOR_NUMBER
            or all(charge.unit is tariffs.DemandUnit.KW for charge in demand_charges)
        )
    )


def aggregate(
    *,
    energy_milliwh: loads.Int64s,
    export_milliwh: loads.Int64s | None = None,
    starts: loads.Int64s,
    interval_seconds: int,
    zone: zoneinfo.ZoneInfo,
    holidays: frozenset[datetime.date] = frozenset(),
) -> Cells:
    """Add loads [loads, intervals] on one grid up by cell; they have to begin and end with a local month.

    :raises ValueError: an interval does not divide an hour, or there are gaps between the starts.
    """
    if loads.SECONDS_PER_HOUR % interval_seconds or bool((np.diff(starts) != interval_seconds).any()):
        raise ValueError("A grid is of intervals that divide an hour and follow each other.")
    times = local_time.to_local(starts=starts, zone=zone, holidays=holidays)
    month_of = times.day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    bills, row = np.unique(month_of, return_inverse=True)
    grid = _Grid(
        cell_of=(row * kernels.CELLS + times.is_weekend * tariffs.HOURS + times.hour).astype(np.int64),
        per_hour=loads.SECONDS_PER_HOUR // interval_seconds,
        bills=len(bills),
    )
    sums, peaks = grid.add_up(energy_milliwh if export_milliwh is None else energy_milliwh - export_milliwh)
    lengths = np.diff(np.append(bills, bills[-1] + 1).astype("datetime64[M]").astype("datetime64[D]"))
    return Cells(
        sums=sums,
        peaks=peaks,
        months=bills % MONTHS,
        days=lengths.astype(np.int64),
        apart={} if export_milliwh is None else grid.apart(energy_milliwh, export_milliwh),
    )


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Grid:
    """Which cell each interval falls in, and how many intervals an hour has."""

    cell_of: loads.Int64s
    per_hour: int
    bills: int

    def add_up(self, energy: loads.Int64s) -> tuple[loads.Int64s, loads.Int64s]:
        shape = (len(energy), self.bills * kernels.CELLS)
        sums, peaks = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        kernels.aggregate(np.ascontiguousarray(energy, dtype=np.int64), self.cell_of, self.per_hour, sums, peaks)
        by_cell = (len(energy), self.bills, kernels.CELLS)
        return sums.reshape(by_cell), peaks.reshape(by_cell)

    def apart(
        self, taken: loads.Int64s, given: loads.Int64s
    ) -> dict[tariffs.Metering, tuple[loads.Int64s, loads.Int64s, loads.Int64s]]:
        net = taken - given
        hourly = net.reshape(len(net), -1, self.per_hour).sum(axis=2).repeat(self.per_hour, axis=1)
        hourly[:, np.arange(hourly.shape[1]) % self.per_hour != 0] = 0
        rules = {
            tariffs.Metering.NET_BILLING: (np.maximum(net, 0), np.maximum(-net, 0)),
            tariffs.Metering.NET_BILLING_HOURLY: (np.maximum(hourly, 0), np.maximum(-hourly, 0)),
            tariffs.Metering.BUY_ALL_SELL_ALL: (taken, given),
        }
        added = {rule: (self.add_up(bought), self.add_up(sold)[0]) for rule, (bought, sold) in rules.items()}
        of_net = self.add_up(net)[1]
        return {
            rule: (sums, sold, peaks if rule is tariffs.Metering.BUY_ALL_SELL_ALL else of_net)
            for rule, ((sums, peaks), sold) in added.items()
        }


def rate(
    *,
    compiled: Compiled,
    cells: Cells,
    reading: terms.Terms,
    before: loads.Int64s | None = None,
    ends_year: int | None = MONTHS - 1,
) -> Rated:
    """Rate every load and month. `before` [loads, 12] are the peaks (mW) of the months before, latest last.

    A yearly minimum falls due in the bills of the calendar month `ends_year` (0 to 11), on the bills since the
    one before it.
    """
    count, rows = cells.sums.shape[:2]
    quantities = np.zeros((count, rows, len(compiled.slots)), dtype=np.int64)
    amounts = np.zeros_like(quantities)
    demands = np.zeros((count, rows), dtype=np.int64)
    nothing_sold = np.zeros((0, rows, kernels.CELLS), dtype=np.int64)
    bought, sold, peaks = cells.apart.get(compiled.tariff.metering, (cells.sums, nothing_sold, cells.peaks))
    cast("Any", kernels.rate)(
        bought,
        sold,
        peaks,
        cells.months,
        cells.days,
        np.zeros((count, MONTHS), dtype=np.int64) if before is None else before,
        compiled.carry_targets,
        *compiled.arguments,
        quantities,
        amounts,
        demands,
    )
    fixed = _fixed(tariff=compiled.tariff, days=cells.days, meters=reading.meters)
    return Rated(
        quantities=quantities,
        amounts=amounts,
        demands=demands,
        fixed=fixed,
        minimums=_minimums(tariff=compiled.tariff, spent=amounts.sum(axis=2) + fixed, cells=cells, ends_year=ends_year),
        compiled=compiled,
    )


def peaks_of_months(*, cells: Cells, metering: tariffs.Metering) -> loads.Int64s:
    """Return each month's peak in mW, [loads, bills]."""
    peaks = cells.apart[metering][2] if metering in cells.apart else cells.peaks
    return peaks.max(axis=2)


@functools.lru_cache(maxsize=4096)
def compile_tariff(*, tariff: tariffs.Tariff, reading: terms.Terms) -> Compiled:
    """Return a tariff as arrays.

    :raises ValueError: the kernel does not know all of its charges; see `can_rate`.
    """
    if not can_rate(tariff=tariff, reading=reading) or tariff.energy is None:
        raise ValueError(f"Tariff {tariff.label} has charges that only `rating` knows.")
    upper, price, tiers = _steps(tariff.energy.tiers)
    flags = np.zeros((2, *upper.shape), dtype=np.bool_)
    for p, period in enumerate(tariff.energy.tiers):
        for t, tier in enumerate(period):
            flags[0, p, t], flags[1, p, t] = tier.unit.is_per_kw, tier.unit.is_daily
    flat = _steps(tariff.flat_demand.tiers if tariff.flat_demand else ())
    tou = _steps(tariff.tou_demand.tiers if tariff.tou_demand else ())
    ratchet = tariff.ratchet or tariffs.Ratchet(percent_micro=0)
    sell = np.zeros(upper.shape, dtype=np.int64)
    for p, period in enumerate(tariff.energy.tiers):
        sell[p, : len(period)] = [-(tier.sell_nano or 0) for tier in period]
    return Compiled(
        tariff=tariff,
        carry_targets=_carry_targets(
            schedule=tariff.energy.schedule, periods=len(tariff.energy.tiers), reading=reading
        ),
        arguments=(
            _schedule(tariff.energy.schedule),
            upper,
            flags[0],
            flags[1],
            price,
            sell,
            tiers,
            tariff.tier_allocation is tariffs.TierAllocation.EACH_PERIOD,
            reading.tiers is terms.TierReading.REFERENCE,
            np.array(tariff.flat_demand.months if tariff.flat_demand else [-1] * MONTHS, dtype=np.int64),
            *flat,
            _schedule(tariff.tou_demand.schedule if tariff.tou_demand else tariff.energy.schedule),
            *tou,
            ratchet.percent_micro,
            ratchet.range_months,
            np.array(ratchet.months, dtype=np.bool_),
            reading.ratchet is terms.RatchetReading.REFERENCE,
            np.array(tariff.fuel_adjustments_nano or [0] * MONTHS, dtype=np.int64),
        ),
        slots=_slots(tariff=tariff, widths=(upper.shape[1], flat[0].shape[1], tou[0].shape[1])),
    )


def _slots(*, tariff: tariffs.Tariff, widths: tuple[int, int, int]) -> tuple[Slot, ...]:
    found: list[Slot] = []
    charges: tuple[tuple[bill.LineKind, str, Sequence[Sequence[tariffs.EnergyTier | tariffs.DemandTier]], int], ...] = (
        (bill.LineKind.ENERGY, "kWh", tariff.energy.tiers if tariff.energy else (), widths[0]),
        (bill.LineKind.DEMAND_FLAT, *_demand_tiers(tariff.flat_demand), widths[1]),
        (bill.LineKind.DEMAND_TOU, *_demand_tiers(tariff.tou_demand), widths[2]),
    )
    for kind, unit, tiers, width in charges:
        for p, period in enumerate(tiers):
            prices = [tier.total_nano for tier in period] + [0] * (width - len(period))
            found += [Slot(kind, p, t, unit, price) for t, price in enumerate(prices)]
    found.append(Slot(bill.LineKind.FUEL_ADJUSTMENT, 0, 0, "kWh", 0))
    for p, tiers_of in enumerate(tariff.energy.tiers if tariff.energy else ()):
        prices = [-(tier.sell_nano or 0) for tier in tiers_of] + [0] * (widths[0] - len(tiers_of))
        found += [Slot(bill.LineKind.EXPORT_CREDIT, p, t, "kWh", price) for t, price in enumerate(prices)]
    return tuple(found)


def _carry_targets(*, schedule: tariffs.TimeOfUse, periods: int, reading: terms.Terms) -> loads.Int64s:
    """Return, for the month that kWh arrive in (0 to 11) and the period they come from, where they go; -1 nowhere."""
    targets = np.full((MONTHS, periods), -1, dtype=np.int64)
    for month in range(MONTHS):
        for period in range(periods):
            target = net_metering.carry_target(
                schedule=schedule,
                period=period,
                months=((month - 1) % MONTHS + 1, month + 1),
                reading=reading.carry,
            )
            targets[month, period] = -1 if target is None else target
    return targets


def _demand_tiers(
    charge: tariffs.FlatDemandCharge | tariffs.TimeOfUseDemandCharge | None,
) -> tuple[str, Sequence[Sequence[tariffs.DemandTier]]]:
    return ("", ()) if charge is None else (charge.unit.value, charge.tiers)


def _steps(
    periods: Sequence[Sequence[tariffs.EnergyTier | tariffs.DemandTier]],
) -> tuple[loads.Int64s, loads.Int64s, loads.Int64s]:
    shape = (len(periods), max((len(period) for period in periods), default=0))
    upper, price = np.full(shape, kernels.OPEN, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for p, period in enumerate(periods):
        for t, tier in enumerate(period):
            upper[p, t] = kernels.OPEN if tier.upper_micro is None else tier.upper_micro
            price[p, t] = tier.total_nano
    return upper, price, np.array([len(period) for period in periods], dtype=np.int64)


def _schedule(schedule: tariffs.TimeOfUse) -> loads.Int64s:
    return np.hstack([np.array(schedule.weekday, dtype=np.int64), np.array(schedule.weekend, dtype=np.int64)])


def _fixed(*, tariff: tariffs.Tariff, days: loads.Int64s, meters: int) -> loads.Int64s:
    total = np.zeros(len(days), dtype=np.int64)
    for charge in tariff.fixed:
        for amount, count in ((charge.amount_nano, 1), (charge.additional_nano, meters - 1)):
            match charge.per:
                case tariffs.ChargePer.DAY:
                    total += amount * count * days
                case tariffs.ChargePer.MONTH:
                    total += amount * count
                case tariffs.ChargePer.YEAR:
                    total += bill.divide_half_even(amount * count, MONTHS)
    return total


def _minimums(*, tariff: tariffs.Tariff, spent: loads.Int64s, cells: Cells, ends_year: int | None) -> loads.Int64s:
    added = np.zeros_like(spent)
    for minimum in tariff.minimums:
        if minimum.per is tariffs.ChargePer.YEAR:
            first = 0
            for row in np.flatnonzero(cells.months == ends_year).tolist():
                year = (spent + added)[:, first : row + 1].sum(axis=1)
                added[:, row] += np.maximum(minimum.amount_nano - year, 0)
                first = row + 1
        else:
            least = minimum.amount_nano * (cells.days if minimum.per is tariffs.ChargePer.DAY else 1)
            added += np.maximum(least - spent - added, 0)
    return added
