"""The 10-in-10 baseline: what a device would have used, from its ten latest like days, with no adjustment.

Like days of an event are the local days before it of the same kind: working days for an event on a working day,
weekend days and holidays for one on a weekend day or a holiday. Left out are days on which the device took part in
another event, and days on which any interval of the window is not measured. The baseline of an interval is the plain
mean over those days of the interval at the same local clock time. Search goes back `LOOKBACK_DAYS` days.

Energy is net consumption in Wh: into the device is positive, out of it (a battery that discharges) negative.

Daylight saving: an interval whose clock time does not exist on a like day leaves that day out; where a clock time
exists twice, the first is taken.
"""

import dataclasses
import datetime
import fractions
import zoneinfo
from collections.abc import Collection, Iterator, Mapping

from openvpp.core import period

DAYS = 10
LOOKBACK_DAYS = 60
INTERVAL_SECONDS = 900
INTERVAL = datetime.timedelta(seconds=INTERVAL_SECONDS)
_FIRST_WEEKEND_DAY = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Baseline:
    """The local days taken, latest first, and the exact mean Wh of each interval of the window."""

    days: tuple[datetime.date, ...]
    interval_wh: tuple[fractions.Fraction, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class TooFewDays:
    """There is no baseline: only these like days are complete."""

    days: tuple[datetime.date, ...]


def intervals(*, window: period.Period) -> tuple[datetime.datetime, ...]:
    """Return the starts of the window's intervals, in UTC.

    :raises ValueError: the window does not begin and end on whole intervals.
    """
    starts_at, ends_at = (instant.astimezone(datetime.UTC) for instant in (window.starts_at, window.ends_at))
    if starts_at.timestamp() % INTERVAL_SECONDS or ends_at.timestamp() % INTERVAL_SECONDS:
        raise ValueError("An event begins and ends on a quarter of an hour.")
    return tuple(starts_at + INTERVAL * i for i in range((ends_at - starts_at) // INTERVAL))


def like_days(
    *,
    event_day: datetime.date,
    holidays: Collection[datetime.date],
    excluded: Collection[datetime.date],
) -> Iterator[datetime.date]:
    """Yield the days that may make the baseline, latest first."""
    wanted = _is_rest_day(event_day, holidays)
    for back in range(1, LOOKBACK_DAYS + 1):
        day = event_day - datetime.timedelta(days=back)
        if _is_rest_day(day, holidays) is wanted and day not in excluded:
            yield day


def compute(
    *,
    window: period.Period,
    zone: zoneinfo.ZoneInfo,
    holidays: Collection[datetime.date],
    excluded: Collection[datetime.date],
    measured_wh: Mapping[datetime.datetime, int],
    min_days: int,
) -> Baseline | TooFewDays:
    """Return the baseline of a window from what was measured, by the start of each interval in UTC.

    With fewer than ten like days the mean is over those that there are, if they are at least `min_days`.
    """
    starts = intervals(window=window)
    event_day = starts[0].astimezone(zone).date()
    taken: list[datetime.date] = []
    sums = [0] * len(starts)
    for day in like_days(event_day=event_day, holidays=holidays, excluded=excluded):
        values = [measured_wh.get(same) for start in starts if (same := _same_time(start, event_day, day, zone))]
        complete = [value for value in values if value is not None]
        if len(complete) < len(starts):
            continue
        sums = [total + value for total, value in zip(sums, complete, strict=True)]
        taken.append(day)
        if len(taken) == DAYS:
            break
    if len(taken) < max(min_days, 1):
        return TooFewDays(days=tuple(taken))
    return Baseline(days=tuple(taken), interval_wh=tuple(fractions.Fraction(total, len(taken)) for total in sums))


def history(*, window: period.Period) -> period.Period:
    """Return the span in which all like days lie."""
    return period.Period(window.starts_at - datetime.timedelta(days=LOOKBACK_DAYS + 2), window.starts_at)


def _same_time(
    start: datetime.datetime, event_day: datetime.date, day: datetime.date, zone: zoneinfo.ZoneInfo
) -> datetime.datetime | None:
    local = start.astimezone(zone)
    date = day + (local.date() - event_day)
    same = datetime.datetime.combine(date, local.time().replace(fold=0), tzinfo=zone)
    instant = same.astimezone(datetime.UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None) == same.replace(tzinfo=None) else None


def _is_rest_day(day: datetime.date, holidays: Collection[datetime.date]) -> bool:
    return day.weekday() >= _FIRST_WEEKEND_DAY or day in holidays
