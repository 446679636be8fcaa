"""A channel's local day in few bytes: whole counts, one scale, one quality where they agree.

Readings come as three columns (starts, thousandths of the unit, quality). A day begins at local midnight and has
as many intervals as fit its 23, 24 or 25 hours. Sums are exact: nothing is rounded on the way in or out.
"""

import dataclasses
import datetime
import functools
import zoneinfo
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from meters.domain import units

type Int64s = npt.NDArray[np.int64]
type Bytes = npt.NDArray[np.uint8]

LONGEST_INTERVAL_SECONDS = 6 * 3600
SECONDS_PER_DAY = 86_400
DECIDED = units.ESTIMATES | {units.Quality.EDITED}
"""Qualities of values that are not what the meter said."""

_MAX_SCALE = 2**15 - 1
BETWEEN_2_AND_4 = 2.75
BETWEEN_4_AND_8 = 5.5

MOST_MILLI_UNITS = 10**15
"""No meter counts a terawatt hour in an interval; and sums of months stay far from 64 bits."""

_FIRST_INSTANT = 0
_AFTER_LAST_INSTANT = int(datetime.datetime(2089, 1, 1, tzinfo=datetime.UTC).timestamp())
_MOST_BYTES = 2**16 - 1
_MOST_INTERVALS = 2**15 - 1
# How days are joined when they are read: see `meters.domain.unpacking`.


class Unpackable(ValueError):
    """The readings do not make days: they overlap, disagree in length or are beyond what a day can hold."""


class OutOfRange(Unpackable):
    """A value, or a time, is none that a meter can have had."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Series:
    """Readings of one channel, ascending: epoch seconds, thousandths of the unit, `units.Quality`.

    Intervals are all `interval_seconds` long and do not overlap; there may be gaps between them.
    """

    interval_seconds: int
    starts: Int64s
    milli_units: Int64s
    qualities: Bytes

    def __post_init__(self) -> None:
        if not len(self.starts) == len(self.milli_units) == len(self.qualities):
            raise Unpackable("Starts, values and qualities are of one length.")
        if not 0 < self.interval_seconds <= LONGEST_INTERVAL_SECONDS:
            raise Unpackable(f"An interval of {self.interval_seconds} seconds is none that a day is made of.")
        if len(self.starts) > 1 and int(np.diff(self.starts).min()) < self.interval_seconds:
            at = int(np.argmax(np.diff(self.starts) < self.interval_seconds))
            raise Unpackable(f"The interval at {instant(int(self.starts[at + 1]))} overlaps the one before it.")
        if len(self.starts):
            check_range(
                starts=int(self.starts[0]),
                ends=int(self.starts[-1]),
                lowest=int(self.milli_units.min()),
                highest=int(self.milli_units.max()),
            )

    def __len__(self) -> int:
        return len(self.starts)


@dataclasses.dataclass(frozen=True, slots=True)
class Day:
    """A packed local day.

    Count `i` covers `[midnight + offset + i * interval, ...)` in elapsed seconds. Counts are little-endian signed
    integers of 2, 4 or 8 bytes, which their number tells. `qualities` is one byte for all or one each; an interval
    of quality MISSING has the count 0.
    """

    local_date: datetime.date
    interval_seconds: int
    offset_seconds: int
    scale: int
    qualities: bytes
    counts: bytes

    def __len__(self) -> int:
        return len(self.counts) // self.width

    @property
    def width(self) -> int:
        """Return the bytes of a count."""
        return width_of(size=len(self.counts), interval_seconds=self.interval_seconds)

    def milli_units(self) -> Int64s:
        """Return every interval's value in thousandths of the unit; 0 where missing."""
        return np.frombuffer(self.counts, dtype=f"<i{self.width}").astype(np.int64) * self.scale

    def quality_codes(self) -> Bytes:
        """Return every interval's `units.Quality`."""
        codes = np.frombuffer(self.qualities, dtype=np.uint8)
        return np.broadcast_to(codes, len(self)) if len(codes) == 1 else codes

    def starts(self, zone: zoneinfo.ZoneInfo) -> Int64s:
        """Return every interval's start, epoch seconds."""
        first = midnight(day=self.local_date, zone=zone) + self.offset_seconds
        return first + self.interval_seconds * np.arange(len(self), dtype=np.int64)


def check_range(*, starts: int, ends: int, lowest: int, highest: int) -> None:
    """Refuse times (epoch seconds) before 1970 or after 2088, and values of more than `MOST_MILLI_UNITS`.

    :raises OutOfRange: it is one of these.
    """
    if starts < _FIRST_INSTANT or ends >= _AFTER_LAST_INSTANT:
        raise OutOfRange("A reading is not of the years 1970 to 2088.")
    if max(highest, -lowest) > MOST_MILLI_UNITS:
        raise OutOfRange("A value is more than a meter counts.")


def width_of(*, size: int, interval_seconds: int) -> int:
    """Return the bytes of a count in a day of `size` bytes: a day is within two hours, or one interval, of 24 hours."""
    each = size * interval_seconds / SECONDS_PER_DAY
    return 2 if each < BETWEEN_2_AND_4 else 4 if each < BETWEEN_4_AND_8 else 8


def pack(*, series: Series, zone: zoneinfo.ZoneInfo) -> list[Day]:
    """Return a day for each local day that a reading starts in; what a day lacks is MISSING.

    :raises Unpackable: when readings of one day do not share a grid.
    """
    if not len(series):
        return []
    dates, firsts, boundaries = _split(starts=series.starts, zone=zone)
    return [
        _pack_day(
            local_date=date,
            midnight_at=first,
            day_seconds=midnight(day=date + datetime.timedelta(days=1), zone=zone) - first,
            series=series,
            chosen=slice(boundaries[i], boundaries[i + 1]),
        )
        for i, (date, first) in enumerate(zip(dates, firsts, strict=True))
    ]


def overlay(*, old: Day, new: Day, earlier: Sequence[Day] = ()) -> Day | None:
    """Return `old` with every interval that `new` brings, or None when nothing differs.

    `earlier` are the versions before `old`. Where `old` holds an estimate or an edit, a value that one of them had
    already is not news: what was decided about it stands. A day of nothing but estimates gives way to any grid.

    :raises Unpackable: when the two do not share a grid and `new` does not cover the whole day.
    """
    if (old.interval_seconds, old.offset_seconds) != (new.interval_seconds, new.offset_seconds):
        is_measured = not np.isin(old.quality_codes(), [*DECIDED, units.Quality.MISSING, units.Quality.DERIVED]).all()
        if is_measured and bool((new.quality_codes() == units.Quality.MISSING).any()):
            raise Unpackable(
                f"{new.local_date} is kept in intervals of {old.interval_seconds} seconds; a part of it in intervals "
                f"of {new.interval_seconds} seconds cannot be laid over it."
            )
        return new
    brought = new.quality_codes() != units.Quality.MISSING
    is_decided = np.isin(old.quality_codes(), [*DECIDED])
    if bool(is_decided.any()):
        for version in earlier:
            if (version.interval_seconds, version.offset_seconds) == (old.interval_seconds, old.offset_seconds):
                was_there = ~np.isin(version.quality_codes(), [*DECIDED, units.Quality.MISSING])
                is_known = was_there & (version.milli_units() == new.milli_units())
                is_decision = np.isin(new.quality_codes(), [*DECIDED])
                brought &= ~(is_decided & is_known & ~is_decision)
    values = np.where(brought, new.milli_units(), old.milli_units())
    codes = np.where(brought, new.quality_codes(), old.quality_codes()).astype(np.uint8)
    if bool((values == old.milli_units()).all()) and bool((codes == old.quality_codes()).all()):
        return None
    return _make(
        local_date=old.local_date,
        interval_seconds=old.interval_seconds,
        offset_seconds=old.offset_seconds,
        values=values,
        codes=codes,
    )


@functools.lru_cache(maxsize=4096)
def midnight(*, day: datetime.date, zone: zoneinfo.ZoneInfo) -> int:
    """Return the first instant of a local day, epoch seconds."""
    return int(datetime.datetime.combine(day, datetime.time(), tzinfo=zone).timestamp())


def local_date(*, instant: int, zone: zoneinfo.ZoneInfo) -> datetime.date:
    """Return the local day that an instant (epoch seconds) lies in."""
    return datetime.datetime.fromtimestamp(instant, tz=zone).date()


def instant(seconds: int) -> str:
    """Return epoch seconds as RFC 3339 in UTC, for messages."""
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).isoformat().replace("+00:00", "Z")


def _split(*, starts: Int64s, zone: zoneinfo.ZoneInfo) -> tuple[list[datetime.date], list[int], list[int]]:
    """Return the local days touched, their midnights, and where each begins in `starts`."""
    dates: list[datetime.date] = []
    firsts: list[int] = []
    boundaries: list[int] = []
    at = 0
    while at < len(starts):
        date = local_date(instant=int(starts[at]), zone=zone)
        dates.append(date)
        firsts.append(midnight(day=date, zone=zone))
        boundaries.append(at)
        at = int(np.searchsorted(starts, midnight(day=date + datetime.timedelta(days=1), zone=zone)))
    return dates, firsts, [*boundaries, len(starts)]


def _pack_day(*, local_date: datetime.date, midnight_at: int, day_seconds: int, series: Series, chosen: slice) -> Day:
    since = series.starts[chosen] - midnight_at
    length = series.interval_seconds
    offset = int(since[0]) % length
    places, remainders = np.divmod(since - offset, length)
    if bool(remainders.any()):
        at = int(series.starts[chosen][np.argmax(remainders != 0)])
        raise Unpackable(f"The interval at {instant(at)} is off the {length}-second grid of its day.")
    size = -((offset - day_seconds) // length)
    if len(places) == size:
        values, codes = series.milli_units[chosen], series.qualities[chosen]
    else:
        values = np.zeros(size, dtype=np.int64)
        codes = np.full(size, units.Quality.MISSING, dtype=np.uint8)
        values[places] = series.milli_units[chosen]
        codes[places] = series.qualities[chosen]
    return _make(local_date=local_date, interval_seconds=length, offset_seconds=offset, values=values, codes=codes)


def _scale_of(divisor: int) -> int:
    """Return the largest number of at most 15 bits that is the divisor over a power of ten, or 1."""
    while divisor > _MAX_SCALE:
        divisor = divisor // 10 if divisor % 10 == 0 else 1
    return divisor or 1


def _make(
    *, local_date: datetime.date, interval_seconds: int, offset_seconds: int, values: Int64s, codes: Bytes
) -> Day:
    scale = _scale_of(int(np.gcd.reduce(values)))
    counts = values // scale
    largest = max(int(counts.max()), -int(counts.min()) - 1)
    width = 2 if largest < 2**15 else 4 if largest < 2**31 else 8
    if len(values) > _MOST_INTERVALS or len(values) * width > _MOST_BYTES:
        raise OutOfRange(f"Intervals of {interval_seconds} seconds are too short to be kept by the day.")
    is_uniform = bool((codes == codes[0]).all())
    return Day(
        local_date=local_date,
        interval_seconds=interval_seconds,
        offset_seconds=offset_seconds,
        scale=scale,
        qualities=bytes(codes[:1]) if is_uniform else codes.tobytes(),
        counts=counts.astype(f"<i{width}").tobytes(),
    )
