"""Many packed days at once into columns, as the database hands them over: joined bytes, no object for a day."""

import dataclasses
import datetime
import functools
import zoneinfo
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from meters.domain import packing, units, usage

HEAD = np.dtype(
    [
        ("day", ">i2"),
        ("seconds", ">i2"),
        ("offset", ">i2"),
        ("scale", ">i2"),
        ("qualities_size", ">u2"),
        ("counts_size", ">u2"),
    ]
)
"""What stands before a day's bytes: its date in days since 2000, and what `packing.Day` says; all big-endian."""

_EPOCH = datetime.date(2000, 1, 1)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Unpacked:
    """Intervals that have a value, day after day, and where each day begins among them (one more at the end)."""

    intervals: usage.Intervals
    dates: npt.NDArray[np.int64]
    places: packing.Int64s

    def date(self, place: int) -> datetime.date:
        """Return the local day of a place."""
        return _EPOCH + datetime.timedelta(days=int(self.dates[place]))


def unpack(
    *, heads: Sequence[bytes], qualities: Sequence[bytes], counts: Sequence[bytes], zone: zoneinfo.ZoneInfo
) -> Unpacked:
    """Return the intervals of all the days whose heads, qualities and counts were joined, in that order."""
    days = np.frombuffer(b"".join(heads), dtype=HEAD)
    sizes = days["counts_size"].astype(np.int64)
    seconds = days["seconds"].astype(np.int64)
    each = sizes * seconds / packing.SECONDS_PER_DAY
    widths = np.where(each < packing.BETWEEN_2_AND_4, 2, np.where(each < packing.BETWEEN_4_AND_8, 4, 8))
    lengths = sizes // widths
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    begins = _midnights(dates=days["day"].tobytes(), zone=zone) + days["offset"]
    lengths_of = np.repeat(seconds, lengths)
    starts = np.repeat(begins - (ends - lengths) * seconds, lengths) + lengths_of * np.arange(total, dtype=np.int64)
    values = _values(text=b"".join(counts), sizes=sizes, widths=widths, lengths=lengths)
    values *= np.repeat(days["scale"].astype(np.int64), lengths)
    codes = _codes(text=b"".join(qualities), sizes=days["qualities_size"].astype(np.int64), lengths=lengths)
    found = usage.Intervals(starts, lengths_of, values, codes)
    places = np.concatenate([np.zeros(1, dtype=np.int64), ends])
    is_there = codes != units.Quality.MISSING
    if not bool(is_there.all()):
        found = usage.Intervals(starts[is_there], lengths_of[is_there], values[is_there], codes[is_there])
        places = np.concatenate([[0], np.cumsum(is_there)])[places]
    return Unpacked(intervals=found, dates=days["day"].astype(np.int64), places=places)


@functools.lru_cache(maxsize=64)
def _midnights(*, dates: bytes, zone: zoneinfo.ZoneInfo) -> packing.Int64s:
    """Return the midnights of days; the same month of one point after the other is reckoned once."""
    known, place = np.unique(np.frombuffer(dates, dtype=">i2"), return_inverse=True)
    firsts = [packing.midnight(day=_EPOCH + datetime.timedelta(days=int(day)), zone=zone) for day in known]
    return np.array(firsts, dtype=np.int64)[place]


def _values(*, text: bytes, sizes: packing.Int64s, widths: packing.Int64s, lengths: packing.Int64s) -> packing.Int64s:
    kinds = np.unique(widths)
    if len(kinds) == 1:
        return np.frombuffer(text, dtype=f"<i{int(kinds[0])}").astype(np.int64)
    values = np.empty(int(lengths.sum()), dtype=np.int64)
    is_of = np.repeat(widths, lengths)
    raw = np.frombuffer(text, dtype=np.uint8)
    for width in kinds:
        chosen = raw[np.repeat(widths == width, sizes)]
        values[is_of == width] = chosen.view(f"<i{int(width)}")
    return values


def _codes(*, text: bytes, sizes: packing.Int64s, lengths: packing.Int64s) -> packing.Bytes:
    raw = np.frombuffer(text, dtype=np.uint8)
    # A day's one quality is that of all its intervals; where it has one for each, they stand there already.
    return (
        raw
        if bool((sizes == lengths).all())
        else np.repeat(raw, np.where(np.repeat(sizes, sizes) == 1, np.repeat(lengths, sizes), 1))
    )
