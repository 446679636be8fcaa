"""Local month, weekday and hour of many instants at once, right over daylight saving."""

import dataclasses
import datetime
import functools
import zoneinfo

import numpy as np

from billing.domain import loads

_SECONDS_PER_DAY = 86_400
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0.
_SATURDAY = 5


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class LocalTimes:
    """For each interval its calendar month (1 to 12), hour (0 to 23), epoch day and whether it is a weekend."""

    month: loads.Int64s
    hour: loads.Int64s
    day: loads.Int64s
    is_weekend: np.typing.NDArray[np.bool_]


def to_local(*, starts: loads.Int64s, zone: zoneinfo.ZoneInfo, holidays: frozenset[datetime.date]) -> LocalTimes:
    """Return the local calendar of ascending epoch seconds; a holiday counts as a weekend."""
    if not len(starts):
        empty = np.empty(0, dtype=np.int64)
        return LocalTimes(empty, empty, empty, empty.astype(np.bool_))
    instants, offsets = _offsets(
        zone=zone,
        first_day=int(starts[0]) // _SECONDS_PER_DAY - 1,
        last_day=int(starts[-1]) // _SECONDS_PER_DAY + 1,
    )
    local = starts + offsets[np.searchsorted(instants, starts, side="right") - 1]
    day = local // _SECONDS_PER_DAY
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    is_weekend = (day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY
    if holidays:
        epoch = datetime.date(1970, 1, 1)
        is_weekend |= np.isin(day, [(holiday - epoch).days for holiday in holidays])
    return LocalTimes(month=month, hour=(local % _SECONDS_PER_DAY) // 3600, day=day, is_weekend=is_weekend)


@functools.lru_cache(maxsize=1024)
def _offsets(*, zone: zoneinfo.ZoneInfo, first_day: int, last_day: int) -> tuple[loads.Int64s, loads.Int64s]:
    """Return instants from which an offset from UTC holds, and the offsets, both in seconds."""
    instants = [first_day * _SECONDS_PER_DAY]
    offsets = [_offset_at(zone=zone, instant=instants[0])]
    for day in range(first_day + 1, last_day + 2):
        after = day * _SECONDS_PER_DAY
        offset = _offset_at(zone=zone, instant=after)
        if offset != offsets[-1]:
            instants.append(_find_change(zone=zone, before=after - _SECONDS_PER_DAY, after=after))
            offsets.append(offset)
    return np.array(instants, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _find_change(*, zone: zoneinfo.ZoneInfo, before: int, after: int) -> int:
    old = _offset_at(zone=zone, instant=before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_at(zone=zone, instant=middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset_at(*, zone: zoneinfo.ZoneInfo, instant: int) -> int:
    offset = datetime.datetime.fromtimestamp(instant, tz=zone).utcoffset()
    assert offset is not None  # noqa: S101 - an aware datetime has one
    return int(offset.total_seconds())
