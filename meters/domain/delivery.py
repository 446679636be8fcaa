"""What any source of meter data is read into before a row is written."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from meters.domain import packing, units


@dataclasses.dataclass(frozen=True, slots=True)
class PeriodValue:
    """Energy over a span too long for a day: epoch seconds `[starts, ends)`, thousandths of the unit."""

    starts: int
    ends: int
    milli_units: int
    quality: units.Quality

    def __post_init__(self) -> None:
        packing.check_range(starts=self.starts, ends=self.ends, lowest=self.milli_units, highest=self.milli_units)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class ChannelReadings:
    """Readings of one channel of one usage point, as its source names them.

    `is_counted` is false where another channel of the same point carries the same energy in finer intervals.
    `conflicts` are the intervals (epoch seconds) that came more than once, and not with one value.
    """

    usage_point: str
    key: str
    flow: units.Flow
    unit: units.Unit
    series: tuple[packing.Series, ...]
    periods: tuple[PeriodValue, ...] = ()
    is_counted: bool = True
    conflicts: tuple[tuple[int, int], ...] = ()


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Delivery:
    """Everything that one file or message delivers, and what was odd about it."""

    channels: tuple[ChannelReadings, ...]
    warnings: tuple[str, ...] = ()
    standard_offset_seconds: int | None = None

    @property
    def usage_points(self) -> tuple[str, ...]:
        """Return the usage points that readings came for, in order of appearance."""
        return tuple(dict.fromkeys(channel.usage_point for channel in self.channels))

    @property
    def intervals(self) -> int:
        """Return how many readings there are."""
        return sum(len(series) for channel in self.channels for series in channel.series) + sum(
            len(channel.periods) for channel in self.channels
        )


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """Readings as they were read, in any order and of any length."""

    starts: packing.Int64s
    seconds: packing.Int64s
    milli_units: packing.Int64s
    qualities: packing.Bytes


class Assembled(NamedTuple):
    """Ascending series by interval length, spans longer than a day can hold, warnings, and conflicting intervals."""

    series: tuple[packing.Series, ...]
    periods: tuple[PeriodValue, ...]
    warnings: list[str]
    conflicts: tuple[tuple[int, int], ...]


def assemble(*, parts: list[Columns], name: str) -> Assembled:
    """Return readings in order.

    Of two readings for the same interval the later delivered one holds.

    :raises packing.Unpackable: intervals of one length overlap, a length is not positive, or a value or a time is
        none that can be.
    """
    if not parts:
        return Assembled((), (), [], ())
    starts = np.concatenate([part.starts for part in parts])
    seconds = np.concatenate([part.seconds for part in parts])
    values = np.concatenate([part.milli_units for part in parts])
    codes = np.concatenate([part.qualities for part in parts])
    if bool((seconds <= 0).any()):
        at = int(starts[np.argmax(seconds <= 0)])
        raise packing.Unpackable(f"The interval at {packing.instant(at)} has no length.")
    found: list[packing.Series] = []
    periods: list[PeriodValue] = []
    warnings: list[str] = []
    conflicts: list[tuple[int, int]] = []
    for length in (int(value) for value in np.unique(seconds)):
        chosen = np.flatnonzero(seconds == length)
        order = chosen[np.argsort(starts[chosen], kind="stable")]
        is_last = np.append(np.diff(starts[order]) != 0, True)
        repeated = len(order) - int(is_last.sum())
        if repeated:
            warnings.append(f"{name}: {repeated} intervals were delivered more than once; the later value holds.")
            differs = ~is_last & np.append(np.diff(values[order]) != 0, False)
            conflicts += [(int(start), int(start) + length) for start in np.unique(starts[order[differs]])]
            order = order[is_last]
        if length > packing.LONGEST_INTERVAL_SECONDS:
            periods += [
                PeriodValue(int(starts[i]), int(starts[i]) + length, int(values[i]), units.Quality(int(codes[i])))
                for i in order
            ]
        else:
            found.append(packing.Series(length, starts[order], values[order], codes[order]))
    return Assembled(tuple(found), tuple(periods), warnings, tuple(conflicts))


def merge(*, pieces: Sequence[ChannelReadings]) -> tuple[ChannelReadings, list[str]]:
    """Return pieces of one channel, in the order of their delivery, as one, and what was odd about them.

    :raises packing.Unpackable: see `assemble`.
    """
    first = pieces[0]
    if len(pieces) == 1:
        return first, []
    columns = [
        Columns(one.starts, np.full(len(one), one.interval_seconds, dtype=np.int64), one.milli_units, one.qualities)
        for piece in pieces
        for one in piece.series
    ]
    found = assemble(parts=columns, name=f"{first.usage_point or 'The file'} {first.flow.value}")
    known = tuple(conflict for piece in pieces for conflict in piece.conflicts)
    return dataclasses.replace(first, series=found.series, conflicts=(*known, *found.conflicts)), found.warnings
