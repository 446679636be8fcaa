"""Twelve months of a load on a tariff, as rate designers compare them."""

import dataclasses
import datetime
import zoneinfo

import numpy as np

from billing.domain import batch, bill, demand, loads, rating, tariffs, terms


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Year:
    """A load of one calendar year with its cells, ready for any number of tariffs.

    Ratchets look back on the same year: what came before it is taken to have been like it.
    """

    load: loads.IntervalSeries
    periods: tuple[loads.BillingPeriod, ...]
    cells: batch.Cells


def prepare(*, load: loads.IntervalSeries, year: int, zone: zoneinfo.ZoneInfo) -> Year:
    """Return a year's load added up.

    :raises ValueError: the load does not begin with the year, or its intervals are not a grid that divides an hour.
    """
    firsts = [datetime.date(year, month, 1) for month in range(1, 13)] + [datetime.date(year + 1, 1, 1)]
    periods = tuple(loads.BillingPeriod(firsts[i], firsts[i + 1], zone) for i in range(12))
    if (
        not len(load)
        or int(load.starts[0]) != periods[0].starts
        or int(load.starts[-1] + load.seconds[-1]) != periods[-1].ends
    ):
        raise ValueError(f"The load does not cover the year {year} of {zone.key}.")
    return Year(
        load=load,
        periods=periods,
        cells=batch.aggregate(
            energy_milliwh=load.import_milliwh[None, :],
            export_milliwh=None if load.export_milliwh is None else load.export_milliwh[None, :],
            starts=load.starts,
            interval_seconds=int(load.seconds[0]),
            zone=zone,
        ),
    )


def rate(*, tariff: tariffs.Tariff, year: Year, reading: terms.Terms) -> dict[bill.Component, list[int]]:
    """Return each component's twelve months in nano-units, before rounding to the currency.

    :raises rating.UnableToRate: see there.
    """
    window = tariff.demand_window_minutes
    is_windowed = window is not None and window * 60 > int(year.load.seconds[0])
    if batch.can_rate(tariff=tariff, reading=reading) and not is_windowed:
        rated = batch.rate(
            compiled=batch.compile_tariff(tariff=tariff, reading=reading),
            cells=year.cells,
            reading=reading,
            before=batch.peaks_of_months(cells=year.cells, metering=tariff.metering),
        )
        return {component: rated.component(component)[0].tolist() for component in bill.Component}
    return _one_by_one(tariff=tariff, year=year, reading=reading)


def bills(*, tariff: tariffs.Tariff, year: Year, reading: terms.Terms) -> list[bill.RatedBill]:
    """Return the twelve bills with their lines.

    :raises rating.UnableToRate: see there.
    """
    powers = demand.powers_milliw(load=year.load, window_minutes=tariff.demand_window_minutes, metering=tariff.metering)
    before = tuple(
        demand.PastPeak(period.starts_on.year - 1, period.starts_on.month, int(powers[_inside(year, period)].max()))
        for period in year.periods
    )
    history = rating.History(peaks=before)
    found: list[bill.RatedBill] = []
    for month, period in enumerate(year.periods):
        one = rating.rate(tariff=tariff, load=year.load, period=period, reading=reading, history=history)
        found.append(one)
        history = rating.follow(history=history, rated=one, ends_year=month + 2 == len(year.periods))
    return found


def _one_by_one(*, tariff: tariffs.Tariff, year: Year, reading: terms.Terms) -> dict[bill.Component, list[int]]:
    found = bills(tariff=tariff, year=year, reading=reading)
    return {component: [one.component_nano(component) for one in found] for component in bill.Component}


def _inside(year: Year, period: loads.BillingPeriod) -> slice:
    first, last = np.searchsorted(year.load.starts, [period.starts, period.ends])
    return slice(int(first), int(last))
