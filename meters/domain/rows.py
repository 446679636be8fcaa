"""Usage in the steps that people read it in: intervals, hours, days, months, and what of a step has no value."""

import dataclasses
import datetime
import enum
import zoneinfo

import numpy as np

from meters.domain import packing, units, usage

SECONDS_PER_HOUR = 3600
_ESTIMATES = sorted(units.ESTIMATES)


class Step(enum.StrEnum):
    """How long a row is."""

    INTERVAL = "interval"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Unshowable(ValueError):
    """The readings cannot be shown in this step without guessing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What was taken and given in `[starts, ends)`, epoch seconds; energy in thousandths of a Wh.

    `covered_seconds` have a value in `intervals`, `missing` intervals have none, `estimated` ones were not read from
    the meter. `peak_milli_w` is the highest mean power of an interval in thousandths of a W. `quality` is a name of
    `units.Quality` for a single interval, else `valid`, `estimated` (some is) or `incomplete`.
    """

    starts: int
    ends: int
    delivered_milli_wh: int
    received_milli_wh: int
    covered_seconds: int
    missing: int
    estimated: int
    peak_milli_w: int
    quality: str
    intervals: int = 1


def day_edges(*, first: datetime.date, after: datetime.date, zone: zoneinfo.ZoneInfo, step: Step) -> list[int]:
    """Return where each hour, day or month of the local days `[first, after)` begins, and the end, epoch seconds.

    Hours are counted from local midnight; where a day of daylight saving ends within one, that one is shorter. The
    first and the last month are as much of it as lies in the span.
    """
    edges: list[int] = []
    day = first
    while day < after:
        begins = packing.midnight(day=day, zone=zone)
        following = day + datetime.timedelta(days=1)
        if step is Step.MONTH:
            following = min(datetime.date(day.year + day.month // 12, day.month % 12 + 1, 1), after)
        if step is Step.HOUR:
            edges += range(begins, packing.midnight(day=following, zone=zone), SECONDS_PER_HOUR)
        else:
            edges.append(begins)
        day = following
    return [*edges, packing.midnight(day=after, zone=zone)]


def by_interval(*, read: usage.Consumption) -> list[Row]:
    """Return one row for each interval that has a value."""
    columns = (read.starts, read.seconds, read.delivered_milli_wh, read.received_milli_wh, read.qualities)
    return [
        Row(
            starts=start,
            ends=start + seconds,
            delivered_milli_wh=delivered,
            received_milli_wh=received,
            covered_seconds=seconds,
            missing=0,
            estimated=int(code in _ESTIMATES),
            peak_milli_w=max(delivered, received) * SECONDS_PER_HOUR // seconds,
            quality=units.Quality(code).name.lower(),
        )
        for start, seconds, delivered, received, code in zip(*(column.tolist() for column in columns), strict=True)
    ]


def by_edges(*, read: usage.Consumption, edges: list[int], until: int) -> list[Row]:
    """Return one row for each pair of neighbouring edges that has any value; an interval counts where it starts.

    What lies after `until` is not missing: it has not happened.

    :raises Unshowable: an interval is longer than a row.
    """
    if not len(read):
        return []
    bounds = np.array(edges, dtype=np.int64)
    places = np.searchsorted(read.starts, bounds)
    kept = np.flatnonzero(np.diff(places))
    if not len(kept):
        return []
    firsts, lasts = places[:-1][kept], places[1:][kept] - 1
    longest = np.maximum.reduceat(read.seconds, firsts)
    lengths = np.diff(bounds)[kept]
    if bool((longest > lengths).any()):
        at = int(np.argmax(longest > lengths))
        raise Unshowable(f"Readings of {int(longest[at])} seconds cannot be told apart by {int(lengths[at])} seconds.")
    inside = slice(int(firsts[0]), int(lasts[-1]) + 1)
    begins = firsts - firsts[0]
    power = np.maximum(read.delivered_milli_wh, read.received_milli_wh) * SECONDS_PER_HOUR // read.seconds
    is_estimated = np.isin(read.qualities, _ESTIMATES).astype(np.int64)
    sums = [
        np.add.reduceat(column[inside], begins)
        for column in (read.delivered_milli_wh, read.received_milli_wh, read.seconds, is_estimated)
    ]
    peaks = np.maximum.reduceat(power[inside], begins)
    wanted = np.clip(np.minimum(bounds[1:][kept], until) - bounds[:-1][kept], 0, None)
    missing = np.clip(-((sums[2] - wanted) // longest), 0, None)
    return [
        Row(
            starts=int(bounds[place]),
            ends=int(bounds[place + 1]),
            delivered_milli_wh=int(sums[0][i]),
            received_milli_wh=int(sums[1][i]),
            covered_seconds=int(sums[2][i]),
            missing=int(missing[i]),
            estimated=int(sums[3][i]),
            peak_milli_w=int(peaks[i]),
            quality="incomplete" if missing[i] else "estimated" if sums[3][i] else "valid",
            intervals=int(lasts[i] - firsts[i]) + 1,
        )
        for i, place in enumerate(kept.tolist())
    ]
