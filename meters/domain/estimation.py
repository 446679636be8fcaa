"""Values for intervals that have none: a straight line, what like days were, or a known total along a shape."""

import dataclasses
import datetime
import enum
import itertools
import zoneinfo

import numpy as np
import numpy.typing as npt

from meters.domain import packing, units, validation

_DAY = 86_400
_SATURDAY = 5
_LIKE_DAYS = 4


class Method(enum.StrEnum):
    """How an estimate is made."""

    INTERPOLATION = "interpolation"
    LIKE_DAY = "like_day"
    PROFILE = "profile"


QUALITIES = {
    Method.INTERPOLATION: units.Quality.INTERPOLATED,
    Method.LIKE_DAY: units.Quality.LIKE_DAY,
    Method.PROFILE: units.Quality.PROFILED,
}


class Inestimable(ValueError):
    """There is nothing to estimate from."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Estimate:
    """Values for intervals of one length, and how they were made."""

    method: Method
    series: packing.Series


def estimate(
    *,
    known: validation.Readings,
    starts: int,
    ends: int,
    zone: zoneinfo.ZoneInfo,
    interpolate_seconds: int,
    method: Method | None = None,
) -> Estimate:
    """Return values for every interval of `[starts, ends)`, from real readings before and after it.

    Without a `method`: a straight line up to `interpolate_seconds`, else what the four nearest like days were at that
    time of day, else the mean day (as a profile). Energies are whole thousandths of the unit, rounded down.

    :raises Inestimable: nothing is known to estimate from, or the span is not made of whole intervals.
    """
    seconds = _length_near(known, starts)
    if ends <= starts or (ends - starts) % seconds:
        raise Inestimable(f"The span is not made of intervals of {seconds} seconds.")
    slots = np.arange(starts, ends, seconds, dtype=np.int64)
    outside = (known.seconds == seconds) & ((known.ends <= starts) | (known.starts >= ends))
    real = validation.Readings(known.starts[outside], known.seconds[outside], known.milli_units[outside])
    wanted = [method] if method else [*Method] if ends - starts <= interpolate_seconds else [*Method][1:]
    for one in wanted:
        values = _WAYS[one](real, slots, seconds, zone)
        if values is not None:
            codes = np.full(len(slots), QUALITIES[one], dtype=np.uint8)
            return Estimate(one, packing.Series(seconds, slots, values, codes))
    raise Inestimable("Too little is known around the span to estimate it.")


def spread(*, total: int, weights: npt.NDArray[np.int64]) -> packing.Int64s:
    """Return `total` in whole parts as the weights say; the parts sum to the total always. No weight: equal parts."""
    shares = weights if bool((weights > 0).any()) else np.ones(len(weights), dtype=np.int64)
    whole = int(shares.sum())
    ends = [total * reached // whole for reached in np.cumsum(shares).tolist()]  # Python's integers: never too wide
    return np.array([end - start for start, end in itertools.pairwise([0, *ends])], dtype=np.int64)


def _line(
    real: validation.Readings, slots: packing.Int64s, seconds: int, _zone: zoneinfo.ZoneInfo
) -> packing.Int64s | None:
    before = np.flatnonzero(real.ends == slots[0])
    after = np.flatnonzero(real.starts == slots[-1] + seconds)
    if not len(before) or not len(after):
        return None
    first, last = int(real.milli_units[before[0]]), int(real.milli_units[after[0]])
    steps = np.arange(1, len(slots) + 1, dtype=np.int64)
    return first + (last - first) * steps // (len(slots) + 1)


def _like_days(
    real: validation.Readings, slots: packing.Int64s, _seconds: int, zone: zoneinfo.ZoneInfo
) -> packing.Int64s | None:
    by_slot: dict[tuple[bool, int, int], list[tuple[int, int]]] = {}
    for start, value in zip(real.starts.tolist(), real.milli_units.tolist(), strict=True):
        by_slot.setdefault(_slot(start, zone), []).append((start, value))
    values = []
    for slot in slots.tolist():
        near = sorted(by_slot.get(_slot(slot, zone), []), key=lambda pair: abs(pair[0] - slot))[:_LIKE_DAYS]
        if not near:
            return None
        values.append(sum(value for _, value in near) // len(near))
    return np.array(values, dtype=np.int64)


def _mean_day(
    real: validation.Readings, slots: packing.Int64s, _seconds: int, zone: zoneinfo.ZoneInfo
) -> packing.Int64s | None:
    if not len(real):
        return None
    by_time: dict[tuple[int, int], list[int]] = {}
    for start, value in zip(real.starts.tolist(), real.milli_units.tolist(), strict=True):
        by_time.setdefault(_slot(start, zone)[1:], []).append(value)
    mean = int(real.milli_units.sum()) // len(real)
    shape = [by_time.get(_slot(slot, zone)[1:], [mean]) for slot in slots.tolist()]
    return np.array([sum(values) // len(values) for values in shape], dtype=np.int64)


_WAYS = {Method.INTERPOLATION: _line, Method.LIKE_DAY: _like_days, Method.PROFILE: _mean_day}


def _slot(start: int, zone: zoneinfo.ZoneInfo) -> tuple[bool, int, int]:
    local = datetime.datetime.fromtimestamp(start, tz=zone)
    return local.weekday() >= _SATURDAY, local.hour, local.minute


def _length_near(known: validation.Readings, instant: int) -> int:
    if not len(known):
        raise Inestimable("Nothing is known around the span.")
    return int(known.seconds[np.argmin(np.abs(known.starts - instant))])
