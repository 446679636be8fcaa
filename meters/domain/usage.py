"""What was used, unpacked from days: columns of intervals, totals of days and months, gaps."""

import dataclasses
import datetime
import fractions
import zoneinfo

import numpy as np
import numpy.typing as npt

from meters.domain import multipliers, packing, units

MILLI = 1000


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Intervals:
    """One channel's intervals that have a value: epoch seconds, lengths, thousandths of the unit, qualities."""

    starts: packing.Int64s
    seconds: packing.Int64s
    milli_units: packing.Int64s
    qualities: packing.Bytes

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def whole_units(self) -> packing.Int64s:
        """Return values in whole units (Wh), each rounded down; exact wherever the source delivers whole units."""
        return self.milli_units // MILLI


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Consumption:
    """What a service point took and gave, in thousandths of a Wh; neither is negative.

    `qualities` is the highest `units.Quality` code among the channels added up.
    """

    starts: packing.Int64s
    seconds: packing.Int64s
    delivered_milli_wh: packing.Int64s
    received_milli_wh: packing.Int64s
    qualities: packing.Bytes

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def delivered_wh(self) -> packing.Int64s:
        """Return what was taken in whole Wh, each interval rounded down; exact where the source says whole Wh."""
        return self.delivered_milli_wh // MILLI

    @property
    def received_wh(self) -> packing.Int64s:
        """Return what was given in whole Wh, each interval rounded down; exact where the source says whole Wh."""
        return self.received_milli_wh // MILLI

    def since(self, instant: int) -> "Consumption":
        """Return the intervals that start at an instant (epoch seconds) or later."""
        rest = slice(int(np.searchsorted(self.starts, instant)), None)
        return Consumption(
            self.starts[rest],
            self.seconds[rest],
            self.delivered_milli_wh[rest],
            self.received_milli_wh[rest],
            self.qualities[rest],
        )

    def chosen(self, places: "npt.NDArray[np.bool_]") -> "Consumption":
        """Return the intervals at some places."""
        return Consumption(
            self.starts[places],
            self.seconds[places],
            self.delivered_milli_wh[places],
            self.received_milli_wh[places],
            self.qualities[places],
        )

    def by_flow(self) -> list[tuple[units.Flow, Intervals]]:
        """Return the same as two channels, one a direction."""
        return [
            (units.Flow.DELIVERED, Intervals(self.starts, self.seconds, self.delivered_milli_wh, self.qualities)),
            (units.Flow.RECEIVED, Intervals(self.starts, self.seconds, self.received_milli_wh, self.qualities)),
        ]

    @property
    def has_received(self) -> bool:
        """Say whether anything was given to the grid."""
        return bool(self.received_milli_wh.any())


def estimated(*, read: Consumption) -> dict[units.Quality, tuple[int, int, int]]:
    """Return intervals, thousandths of a Wh taken and given, of each kind of estimate that is among readings."""
    found: dict[units.Quality, tuple[int, int, int]] = {}
    for quality in sorted(units.ESTIMATES):
        chosen = read.qualities == quality
        if bool(chosen.any()):
            found[quality] = (
                int(chosen.sum()),
                int(read.delivered_milli_wh[chosen].sum()),
                int(read.received_milli_wh[chosen].sum()),
            )
    return found


def nothing() -> Consumption:
    """Return no interval at all."""
    empty = np.empty(0, dtype=np.int64)
    return Consumption(empty, empty, empty, empty, np.empty(0, dtype=np.uint8))


@dataclasses.dataclass(frozen=True, slots=True)
class Total:
    """Energy of a local day or month (`starts_on` its first day), thousandths of a Wh, with its quality counts.

    `missing` and `estimated` count intervals.
    """

    starts_on: datetime.date
    delivered_milli_wh: int
    received_milli_wh: int
    intervals: int
    missing: int
    estimated: int


@dataclasses.dataclass(frozen=True, slots=True)
class Plot:
    """Daily totals for a picture, with the zone whose days they are."""

    totals: tuple[Total, ...]
    time_zone: str


def unpack(*, day: packing.Day, zone: zoneinfo.ZoneInfo) -> Intervals:
    """Return a day's intervals that have a value."""
    codes = day.quality_codes()
    starts, values = day.starts(zone), day.milli_units()
    present = codes != units.Quality.MISSING
    if not bool(present.all()):
        starts, values, codes = starts[present], values[present], codes[present]
    return Intervals(starts, np.full(len(starts), day.interval_seconds, dtype=np.int64), values, codes)


def part_of(*, intervals: Intervals, first: int, after: int) -> Intervals:
    """Return the intervals by their places `[first, after)`."""
    chosen = slice(first, after)
    return Intervals(
        intervals.starts[chosen], intervals.seconds[chosen], intervals.milli_units[chosen], intervals.qualities[chosen]
    )


def cut(*, intervals: Intervals, span: tuple[int, int]) -> Intervals:
    """Return the intervals that start in `[span[0], span[1])`."""
    first, after = (int(place) for place in np.searchsorted(intervals.starts, span))
    return part_of(intervals=intervals, first=first, after=after)


def join(parts: list[Intervals]) -> Intervals:
    """Return intervals of following days as one."""
    if not parts:
        empty = np.empty(0, dtype=np.int64)
        return Intervals(empty, empty, empty, np.empty(0, dtype=np.uint8))
    if len(parts) == 1:
        return parts[0]
    return Intervals(
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.seconds for part in parts]),
        np.concatenate([part.milli_units for part in parts]),
        np.concatenate([part.qualities for part in parts]),
    )


def combine(*, parts: list[tuple[units.Flow, Intervals]]) -> Consumption:
    """Add channels of one point up: delivered and received apart, net channels split by their sign.

    Channels of different intervals are brought to the longer one where it holds whole shorter ones.

    :raises packing.Unpackable: intervals overlap without lying on a common grid.
    """
    joined = join([part for _, part in parts])
    if len(parts) == 1 and parts[0][0] is not units.Flow.NET:
        none = np.zeros(len(joined), dtype=np.int64)
        is_received = parts[0][0] is units.Flow.RECEIVED
        return Consumption(
            starts=joined.starts,
            seconds=joined.seconds,
            delivered_milli_wh=none if is_received else joined.milli_units,
            received_milli_wh=joined.milli_units if is_received else none,
            qualities=joined.qualities,
        )
    if not len(joined):
        return Consumption(joined.starts, joined.seconds, joined.starts, joined.starts, joined.qualities)
    flows = np.concatenate([np.full(len(part), _FLOW_CODES[flow], dtype=np.int8) for flow, part in parts])
    order = np.lexsort((-joined.seconds, joined.starts))
    starts, seconds = joined.starts[order], joined.seconds[order]
    values, flows, codes = joined.milli_units[order], flows[order], joined.qualities[order]
    ends = np.maximum.accumulate(starts + seconds)
    is_first = np.append(True, starts[1:] >= ends[:-1])
    group = np.cumsum(is_first) - 1
    firsts = np.flatnonzero(is_first)
    if bool((starts + seconds > (starts + seconds)[firsts][group]).any()):
        raise packing.Unpackable("Channels of this point lie on grids that do not fit into each other.")
    delivered = np.where(flows == _FLOW_CODES[units.Flow.RECEIVED], 0, values)
    received = np.where(flows == _FLOW_CODES[units.Flow.RECEIVED], values, 0)
    is_net = flows == _FLOW_CODES[units.Flow.NET]
    received = np.where(is_net & (values < 0), -values, received)
    delivered = np.where(is_net & (values < 0), 0, delivered)
    return Consumption(
        starts=starts[firsts],
        seconds=seconds[firsts],
        delivered_milli_wh=np.add.reduceat(delivered, firsts),
        received_milli_wh=np.add.reduceat(received, firsts),
        qualities=np.maximum.reduceat(codes, firsts),
    )


def total(*, days: list[tuple[datetime.date, units.Flow, packing.Day, fractions.Fraction]]) -> list[Total]:
    """Return totals by the given keys (a day's or a month's first day), in their order.

    The fraction is the meter's multiplier on that day; each interval becomes energy before it is added.

    :raises multipliers.Unmultipliable: energy is beyond 64 bits.
    """
    sums: dict[datetime.date, list[int]] = {}
    for key, flow, day, multiplier in days:
        row = sums.setdefault(key, [0, 0, 0, 0, 0])
        values = multipliers.to_energy(reads=day.milli_units(), multiplier=multiplier)
        codes = day.quality_codes()
        if flow is units.Flow.NET:
            row[0] += int(values[values > 0].sum())
            row[1] -= int(values[values < 0].sum())
        else:
            row[flow is units.Flow.RECEIVED] += int(values.sum())
        row[2] += len(day)
        row[3] += int((codes == units.Quality.MISSING).sum())
        row[4] += int(np.isin(codes, [*units.ESTIMATES]).sum())
    return [Total(key, *row) for key, row in sums.items()]


def gaps(*, starts: packing.Int64s, seconds: packing.Int64s, span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the parts of `[span[0], span[1])` that no interval covers."""
    ends = np.concatenate([[span[0]], starts + seconds])
    nexts = np.concatenate([starts, [span[1]]])
    return [(int(end), int(start)) for end, start in zip(ends, nexts, strict=True) if start > end]


_FLOW_CODES = {units.Flow.DELIVERED: 0, units.Flow.RECEIVED: 1, units.Flow.NET: 2}
