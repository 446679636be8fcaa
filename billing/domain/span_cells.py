"""Intervals of many customers on one grid of local days, added up by cell: packed days as stored, or energy."""

import dataclasses
import datetime

import numpy as np
import numpy.typing as npt

from billing.domain import kernel_spans, kernels, loads, local_time, span_batch, tariffs

_NARROW = np.dtype("<i2")


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """The intervals of a billing period: epoch seconds, the cell of each, and how they make days.

    Day `i` holds `places[i]:places[i + 1]`; `groups` and `hours` are what `kernel_spans.aggregate` takes.
    """

    starts: loads.Int64s
    cell_of: loads.Int64s
    places: loads.Int64s
    groups: loads.Int64s
    hours: loads.Int64s
    per_hour: int
    parts: int

    @property
    def days(self) -> int:
        """Return the number of local days."""
        return len(self.groups)

    def cut(self, *, first: int, days: int) -> "Grid":
        """Return the grid of `days` days from day `first` on, all within one calendar month more or less alike."""
        chosen = slice(int(self.places[first]), int(self.places[first + days]))
        part = int(self.groups[first : first + days].min()) // 2
        groups = self.groups[first : first + days] - 2 * part
        return Grid(
            starts=self.starts[chosen],
            cell_of=self.cell_of[chosen] - part * kernels.CELLS,
            places=self.places[first : first + days + 1] - self.places[first],
            groups=groups,
            hours=self.hours[first : first + days],
            per_hour=self.per_hour,
            parts=int(groups.max()) // 2 + 1,
        )


def grid(*, period: loads.BillingPeriod, interval_seconds: int, holidays: frozenset[datetime.date]) -> Grid:
    """Return the grid of a billing period in intervals that divide an hour."""
    starts = np.arange(period.starts, period.ends, interval_seconds, dtype=np.int64)
    per_hour = loads.SECONDS_PER_HOUR // interval_seconds
    times = local_time.to_local(starts=starts, zone=period.zone, holidays=holidays)
    _, firsts = np.unique(times.day, return_index=True)
    places = np.append(firsts, len(starts)).astype(np.int64)
    month_of = times.day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    months, part = np.unique(month_of, return_inverse=True)
    lengths = np.diff(places)
    hours = np.full((len(firsts), int(lengths.max())), -1, dtype=np.int64)
    plain = np.arange(tariffs.HOURS * per_hour) // per_hour
    for day, (first, after) in enumerate(zip(places[:-1].tolist(), places[1:].tolist(), strict=True)):
        if after - first != len(plain) or bool((times.hour[first:after] != plain).any()):
            hours[day, : after - first] = times.hour[first:after]
    return Grid(
        starts=starts,
        cell_of=(part * kernels.CELLS + times.is_weekend * tariffs.HOURS + times.hour).astype(np.int64),
        places=places,
        groups=(2 * part[firsts] + times.is_weekend[firsts]).astype(np.int64),
        hours=hours,
        per_hour=per_hour,
        parts=len(months),
    )


def of_packed(
    *, grid: Grid, counts: npt.NDArray[np.signedinteger], scales: loads.Int64s, factors: loads.Int64s
) -> span_batch.Cells:
    """Add packed days up that hold what was taken: `counts` [spans, intervals] times `scales` [spans, days] are mWh.

    `factors` [spans] are the whole multipliers of the meters.
    """
    groups, width = 2 * grid.parts, tariffs.HOURS * grid.per_hour
    sums, peaks = (np.zeros((len(counts), groups * tariffs.HOURS), dtype=np.int64) for _ in range(2))
    running = np.empty((groups, width), dtype=np.int32 if counts.dtype == _NARROW else np.int64)
    highest = np.empty((groups, width), dtype=counts.dtype)
    kernel_spans.aggregate(
        counts, scales, factors, grid.places, grid.groups, grid.hours, grid.per_hour, running, highest, sums, peaks
    )
    return _cells(grid, sums, peaks, None)


def of_intervals(
    *,
    grid: Grid,
    metering: tariffs.Metering,
    taken_milliwh: loads.Int64s,
    given_milliwh: loads.Int64s | None = None,
) -> span_batch.Cells:
    """Add energy [spans, intervals] up as the metering rule settles it; see `net_metering.settle`."""
    if given_milliwh is None:
        return _cells(grid, *_add_up(grid, taken_milliwh), None)
    net = taken_milliwh - given_milliwh
    sums, peaks = _add_up(grid, net)
    match metering:
        case tariffs.Metering.NET_METERING:
            return _cells(grid, sums, peaks, None)
        case tariffs.Metering.BUY_ALL_SELL_ALL:
            return _cells(grid, *_add_up(grid, taken_milliwh), _add_up(grid, given_milliwh)[0])
        case tariffs.Metering.NET_BILLING_HOURLY:
            _, firsts = np.unique(grid.starts // loads.SECONDS_PER_HOUR, return_index=True)
            hourly = np.zeros_like(net)
            hourly[:, firsts] = np.add.reduceat(net, firsts, axis=1)
            net = hourly
    return _cells(grid, _add_up(grid, np.maximum(net, 0))[0], peaks, _add_up(grid, np.maximum(-net, 0))[0])


def _add_up(grid: Grid, energy: loads.Int64s) -> tuple[loads.Int64s, loads.Int64s]:
    sums, peaks = (np.zeros((len(energy), grid.parts * kernels.CELLS), dtype=np.int64) for _ in range(2))
    kernels.aggregate(np.ascontiguousarray(energy, dtype=np.int64), grid.cell_of, grid.per_hour, sums, peaks)
    return sums, peaks


def _cells(grid: Grid, sums: loads.Int64s, peaks: loads.Int64s, sold: loads.Int64s | None) -> span_batch.Cells:
    shape = (len(sums), grid.parts, kernels.CELLS)
    nothing = np.zeros((0, grid.parts, kernels.CELLS), dtype=np.int64)
    return span_batch.Cells(
        bought=sums.reshape(shape),
        sold=nothing if sold is None else sold.reshape(shape),
        peaks=peaks.reshape(shape),
    )
