"""What is odd about readings: pure checks over one channel's intervals, in order of time.

Each check says where and by which facts. What is usual is taken from the readings themselves, so that a house and a
factory are asked different questions; the limits are the utility's (`Rules`).
"""

import dataclasses
import enum
import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from meters.domain import packing, units

_DAY = 86_400
_HOUR = 3600
_MILLI = 1000
_ZONE_STEP_SECONDS = 900
_LEAST_READINGS = 96
_LEAST_USUAL_WATTS = 1000.0
_USUAL_QUANTILE = 0.9
_LEAST_USUAL_DAYS = 5
_SHAPE_QUANTILES = (0.2, 0.5, 0.8, 0.95)
_SHAPE_TOLERANCE = 0.2
_WHOLE_DAY = 0.8
MOST_FINDINGS = 50


class Kind(enum.StrEnum):
    """What may be odd. Stored: append, never rename."""

    GAP = "gap"
    DUPLICATE = "duplicate"
    OVERLAP = "overlap"
    HIGH = "high"
    NEGATIVE = "negative"
    SPIKE = "spike"
    DECIMAL = "decimal"
    FROZEN = "frozen"
    CLOCK = "clock"
    REGISTER = "register"
    LOWER_READ = "lower_read"


BLOCKING = frozenset({Kind.HIGH, Kind.NEGATIVE, Kind.SPIKE, Kind.DECIMAL, Kind.LOWER_READ})


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """How far readings may stray: watts, times what is usual, seconds, and thousandths of a register's difference."""

    most_watts: int = 10_000_000
    spike_factor: int = 20
    frozen_seconds: int = 24 * _HOUR
    late_seconds: int = _HOUR
    interpolate_seconds: int = 2 * _HOUR
    register_tolerance_milli: int = 10


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Readings:
    """One channel's intervals that have a value, ascending: epoch seconds, lengths, thousandths of the unit."""

    starts: packing.Int64s
    seconds: packing.Int64s
    milli_units: packing.Int64s

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def ends(self) -> packing.Int64s:
        """Return when each interval ends."""
        return self.starts + self.seconds

    @property
    def watts(self) -> npt.NDArray[np.float64]:
        """Return the mean power of each interval, for an energy in Wh."""
        return self.milli_units / _MILLI * (_HOUR / self.seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """Something odd in `[starts, ends)`, epoch seconds, with the facts that show it."""

    kind: Kind
    starts: int
    ends: int
    facts: Mapping[str, int | str | list[int]]


def check(*, readings: Readings, since: int, flow: units.Flow, now: int, rules: Rules) -> list[Finding]:
    """Return what is odd about the readings that start at `since` or later; those before show what is usual.

    At most `MOST_FINDINGS`, earliest first.
    """
    if not len(readings):
        return []
    decimals = moved_points(readings=readings, since=since)
    found = [
        *gaps(readings=readings, since=since),
        *overlaps(readings=readings, since=since),
        *high(readings=readings, since=since, rules=rules),
        *negatives(readings=readings, since=since, flow=flow),
        *decimals,
        *(
            one
            for one in spikes(readings=readings, since=since, rules=rules)
            if not any(span.starts <= one.starts < span.ends for span in decimals)
        ),
        *frozen(readings=readings, since=since, rules=rules),
        *clock(readings=readings, since=since, now=now, rules=rules),
    ]
    return sorted(found, key=lambda one: (one.starts, one.kind))[:MOST_FINDINGS]


def gaps(*, readings: Readings, since: int) -> list[Finding]:
    """Return the spans without a value between readings, up to those that start at `since` or later."""
    starts, ends = readings.starts[1:], readings.ends[:-1]
    return [
        Finding(Kind.GAP, int(ends[i]), int(starts[i]), {"seconds": int(starts[i] - ends[i])})
        for i in np.flatnonzero((starts > ends) & (starts >= since))
    ]


def overlaps(*, readings: Readings, since: int) -> list[Finding]:
    """Return where an interval begins before the one before it ends."""
    starts, ends = readings.starts[1:], readings.ends[:-1]
    return [
        Finding(
            Kind.OVERLAP, int(starts[i]), int(min(ends[i], readings.ends[i + 1])), {"seconds": int(ends[i] - starts[i])}
        )
        for i in np.flatnonzero((starts < ends) & (starts >= since))
    ]


def high(*, readings: Readings, since: int, rules: Rules) -> list[Finding]:
    """Return the runs of intervals with more power, either way, than can be."""
    watts = np.abs(readings.watts)
    return [
        Finding(
            Kind.HIGH,
            *_span(readings, first, last),
            {"watts": int(watts[first : last + 1].max()), "most_watts": rules.most_watts},
        )
        for first, last in _runs((watts > rules.most_watts) & (readings.starts >= since))
    ]


def negatives(*, readings: Readings, since: int, flow: units.Flow) -> list[Finding]:
    """Return the runs of negative values in a channel that counts one direction."""
    if flow is units.Flow.NET:
        return []
    return [
        Finding(
            Kind.NEGATIVE,
            *_span(readings, first, last),
            {"lowest_milli_units": int(readings.milli_units[first : last + 1].min())},
        )
        for first, last in _runs((readings.milli_units < 0) & (readings.starts >= since))
    ]


def spikes(*, readings: Readings, since: int, rules: Rules) -> list[Finding]:
    """Return the runs of intervals that lie far above what is usual at most (its 90th percentile)."""
    if len(readings) < _LEAST_READINGS:
        return []
    watts = np.abs(readings.watts)
    usual = max(float(np.quantile(watts, _USUAL_QUANTILE)), _LEAST_USUAL_WATTS)
    return [
        Finding(
            Kind.SPIKE,
            *_span(readings, first, last),
            {"watts": int(watts[first : last + 1].max()), "usual_watts": int(usual), "factor": rules.spike_factor},
        )
        for first, last in _runs((watts > rules.spike_factor * usual) & (readings.starts >= since))
    ]


def moved_points(*, readings: Readings, since: int) -> list[Finding]:
    """Return the spans whose whole days look like those before them, times a power of ten.

    The quiet hours and the busy hours of a day must all have moved by that power: an empty house uses a tenth too,
    but not a tenth of each.
    """
    watts = np.abs(readings.watts)
    bucket = (readings.starts - int(readings.starts[0])) // _DAY
    usual: list[npt.NDArray[np.float64]] = []
    found: list[Finding] = []
    for number in np.unique(bucket):
        chosen = np.flatnonzero(bucket == number)
        if int(readings.seconds[chosen].sum()) < _WHOLE_DAY * _DAY:
            continue
        shape = np.quantile(watts[chosen], _SHAPE_QUANTILES)
        power = _power_of_ten(shape, np.median(usual, axis=0)) if len(usual) >= _LEAST_USUAL_DAYS else 0
        if not power:
            usual.append(shape)
            continue
        first, last = int(readings.starts[chosen[0]]), int(readings.ends[chosen[-1]])
        if first < since:
            continue
        if found and found[-1].ends == first and found[-1].facts["power_of_ten"] == power:
            found[-1] = dataclasses.replace(found[-1], ends=last)
        else:
            found.append(Finding(Kind.DECIMAL, first, last, {"power_of_ten": power}))
    return found


def frozen(*, readings: Readings, since: int, rules: Rules) -> list[Finding]:
    """Return the spans in which the same value, not nought, came again and again."""
    values = readings.milli_units
    is_same = np.append(False, (np.diff(values) == 0) & (values[1:] != 0))
    return [
        Finding(Kind.FROZEN, first, last, {"milli_units": int(values[begin])})
        for begin, first, last in ((max(i - 1, 0), *_span(readings, max(i - 1, 0), j)) for i, j in _runs(is_same))
        if last - first >= rules.frozen_seconds and last > since
    ]


def clock(*, readings: Readings, since: int, now: int, rules: Rules) -> list[Finding]:
    """Return intervals that end in the future, and runs that begin off the minutes that any zone's hours begin on."""
    late = (readings.ends > now + rules.late_seconds) & (readings.starts >= since)
    steps = np.gcd(readings.seconds, _ZONE_STEP_SECONDS)
    off = (readings.starts % steps != 0) & (readings.starts >= since)
    return [
        Finding(
            Kind.CLOCK,
            *_span(readings, first, last),
            {"ahead_seconds": int(readings.ends[last]) - now}
            if is_late
            else {"off_seconds": int(readings.starts[first] % steps[first])},
        )
        for is_late, runs in ((True, _runs(late)), (False, _runs(off)))
        for first, last in runs
    ]


def compare_register(
    *, starts: int, ends: int, register_milli_units: int, interval_milli_units: int, rules: Rules
) -> list[Finding]:
    """Return whether what a register counted over a span and the sum of its intervals are too far apart.

    A thousand units (one step of a dial) apart is never too far.
    """
    apart = abs(register_milli_units - interval_milli_units)
    if apart <= _MILLI**2 or apart * _MILLI <= register_milli_units * rules.register_tolerance_milli:
        return []
    return [
        Finding(
            Kind.REGISTER,
            starts,
            ends,
            {"register_milli_units": register_milli_units, "interval_milli_units": interval_milli_units},
        )
    ]


def _power_of_ten(shape: npt.NDArray[np.float64], usual: npt.NDArray[np.float64]) -> int:
    if not bool((shape > 0).all()) or not bool((usual > 0).all()):
        return 0
    powers = np.log10(shape / usual)
    power = round(float(np.median(powers)))
    return power if bool((np.abs(powers - power) < _SHAPE_TOLERANCE).all()) and math.fabs(power) >= 1 else 0


def _runs(is_in: npt.NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Return the first and the last place of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_in, [False]]).astype(np.int8)))
    return ((int(first), int(after) - 1) for first, after in edges.reshape(-1, 2))


def _span(readings: Readings, first: int, last: int) -> tuple[int, int]:
    return int(readings.starts[first]), int(readings.ends[last])
