"""What is bought and what is sold when a customer also gives energy to the grid."""

import dataclasses
import datetime
import fractions

import numpy as np

from billing.domain import bill, energy, loads, local_time, tariffs, terms

_REFERENCE_HOURS = (0, 5, 11, 17)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Settled:
    """Energy by time-of-use period in mWh: bought, sold, and carried to the next billing period."""

    bought_milliwh: dict[int, int]
    sold_milliwh: dict[int, int]
    carried_milliwh: dict[int, int]
    bought_per_interval: loads.Int64s


def carry(
    *,
    carried_milliwh: dict[int, int],
    schedule: tariffs.TimeOfUse,
    months: tuple[int, int],
    reading: terms.CarryReading,
) -> dict[int, int]:
    """Return what was left over in the first of two calendar months by the periods of the second."""
    arrived: dict[int, int] = {}
    for period, amount in carried_milliwh.items():
        target = carry_target(schedule=schedule, period=period, months=months, reading=reading)
        if target is not None:
            arrived[target] = arrived.get(target, 0) + amount
    return arrived


def carry_target(
    *, schedule: tariffs.TimeOfUse, period: int, months: tuple[int, int], reading: terms.CarryReading
) -> int | None:
    """Return the period of the second month that takes what the first month leaves in `period`; None loses it."""
    before, after = months[0] - 1, months[1] - 1
    if reading is terms.CarryReading.REFERENCE:
        hours = [hour for hour in _REFERENCE_HOURS if schedule.weekday[before][hour] == period]
        return schedule.weekday[after][hours[0]] if hours else None
    for rows in (schedule.weekday, schedule.weekend):
        if period in rows[before]:
            return rows[after][rows[before].index(period)]
    return period


def settle(
    *,
    load: loads.IntervalSeries,
    times: local_time.LocalTimes,
    tariff: tariffs.Tariff,
    carried_milliwh: dict[int, int],
) -> Settled:
    """Return what the tariff's metering rule makes of imports and exports.

    Net metering: each period's exports and what was carried to it are taken off its imports, and a surplus is
    carried on in kWh. Net billing: each interval's (or hour's) surplus is sold. Buy all, sell all: imports and
    exports are metered apart. Energy is conserved: imports - exports - carried in =
    bought - sold - carried on.
    """
    if tariff.energy is None:
        return Settled({}, {}, {}, load.import_milliwh)
    schedule = tariff.energy.schedule
    if load.export_milliwh is None and not carried_milliwh:
        bought = energy.by_period(energy=load.import_milliwh, times=times, schedule=schedule)
        return Settled(bought, {}, {}, load.import_milliwh)
    if tariff.metering is tariffs.Metering.NET_METERING:
        net = energy.by_period(energy=load.net_milliwh, times=times, schedule=schedule)
        for period, carried in carried_milliwh.items():
            net[period] = net.get(period, 0) - carried
        return Settled(
            bought_milliwh={period: amount for period, amount in net.items() if amount > 0},
            sold_milliwh={},
            carried_milliwh={period: -amount for period, amount in net.items() if amount < 0},
            bought_per_interval=load.net_milliwh,
        )
    imported, exported = _apart(load=load, metering=tariff.metering)
    return Settled(
        bought_milliwh=energy.by_period(energy=imported, times=times, schedule=schedule),
        sold_milliwh=energy.by_period(energy=exported, times=times, schedule=schedule),
        carried_milliwh=dict(carried_milliwh),
        bought_per_interval=imported,
    )


def credit_lines(
    *,
    charge: tariffs.EnergyCharge,
    sold_milliwh: dict[int, int],
    reading: terms.TierReading,
    demand_milliw: int,
    days: int,
    factor: fractions.Fraction,
) -> list[bill.Line]:
    """Return the credit for energy sold at the sell prices of its tiers; 0 where the tariff names none."""
    total = sum(sold_milliwh.values())
    lines: list[bill.Line] = []
    for period, sold in sorted(sold_milliwh.items()):
        if not sold:
            continue
        tiers = charge.tiers[period]
        bounds = energy.upper_bounds(
            tiers=tiers, reading=reading, demand_milliw=demand_milliw, days=days, factor=factor
        )
        lines += [
            bill.priced(
                kind=bill.LineKind.EXPORT_CREDIT,
                label=credit_label(charge=charge, period=period, tier=index),
                quantity_micro=quantity,
                unit="kWh",
                unit_price_nano=-(tiers[index].sell_nano or 0),
                period=period,
                tier=index,
            )
            for index, quantity in energy.fill(bounds=bounds, reading=reading, filling=total, used=sold)
        ]
    return lines


def is_true_up(*, tariff: tariffs.Tariff, period: loads.BillingPeriod, reading: terms.Terms) -> bool:
    """Say whether a bill ends the tariff's year of net metering: it holds the last day of the true-up month."""
    if reading.true_up_month is None or tariff.metering is not tariffs.Metering.NET_METERING:
        return False
    return any(
        month == reading.true_up_month and _month_end(year=year, month=month) <= period.ends_on
        for year, month, _ in period.days_by_month()
    )


def cash_out(*, settled: Settled, reading: terms.Terms) -> tuple[Settled, bill.Line | None]:
    """Pay for what would be carried on: it is sold, and nothing is carried. The line is None where nothing is left."""
    left = sum(settled.carried_milliwh.values())
    ended = dataclasses.replace(settled, carried_milliwh={})
    if not left:
        return ended, None
    return ended, bill.priced(
        kind=bill.LineKind.EXPORT_CREDIT,
        label="Energy left over at the annual true-up",
        quantity_micro=left,
        unit="kWh",
        unit_price_nano=-reading.cash_out_nano_per_kwh,
    )


def credit_label(*, charge: tariffs.EnergyCharge, period: int, tier: int) -> str:
    """Return what a line of energy given is called; one period or one tier needs no number."""
    label = f"Energy to the grid, period {period + 1}" if len(charge.tiers) > 1 else "Energy to the grid"
    return f"{label}, tier {tier + 1}" if len(charge.tiers[period]) > 1 else label


def _apart(*, load: loads.IntervalSeries, metering: tariffs.Metering) -> tuple[loads.Int64s, loads.Int64s]:
    exported = load.export_milliwh if load.export_milliwh is not None else np.zeros_like(load.import_milliwh)
    if metering is tariffs.Metering.BUY_ALL_SELL_ALL:
        return load.import_milliwh, exported
    net = load.net_milliwh
    if metering is tariffs.Metering.NET_BILLING_HOURLY and len(net):
        _, first = np.unique(load.starts // loads.SECONDS_PER_HOUR, return_index=True)
        hourly = np.zeros_like(net)
        hourly[first] = np.add.reduceat(net, first)
        net = hourly
    return np.maximum(net, 0), np.maximum(-net, 0)


def _month_end(*, year: int, month: int) -> datetime.date:
    """Return the first day after a calendar month."""
    return datetime.date(year + month // 12, month % 12 + 1, 1)
