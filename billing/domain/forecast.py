"""What the running bill will come to: readings so far, then weeks like those of the weeks and the year before.

The days to come are drawn in blocks of seven: a block is a week that was read one to eight weeks before it, or 48 to
56 weeks before it, chosen with equal chance, so that weekdays meet weekdays and a warm spell stays together. What a
path takes in all is the level of the last seven days times a drift: how much more or less the same number of days
took after seven others, seen from each of the last 60 days, and as often the other way round, for what rose may fall.
Each path is priced like a bill; the spread of the prices is the uncertainty. The seed is fixed: the same readings
give the same forecast.
"""

import calendar
import dataclasses
import datetime
from collections.abc import Sequence

import numpy as np

from billing.domain import loads, local_time

METHOD = "like_weeks_with_drift"
EARLY_SHARE = 0.8
"""While more of a bill is to come, its bounds are those of the early ones."""

_WIDER_EARLY_MILLI, _WIDER_LATE_MILLI, _MILLI = 271, 20, 1000
PATHS = 200
LEAST_DAYS = 14
SEED = 20_260
_WEEK = 7
_RECENT = tuple(range(7, 57, 7))
_YEAR_AGO = tuple(range(336, 393, 7))
_SECONDS_PER_DAY, _SECONDS_PER_HOUR = 86_400, 3_600
_DRIFT_DAYS = 60
_MOST_DRIFT = 4.0
_MICRO = 10**6
_EPOCH = datetime.date(1970, 1, 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The mean of the priced paths, and the bounds between which the bill was found in 80 % of held-out forecasts."""

    expected_nano: int
    low_nano: int
    high_nano: int


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Days:
    """Complete local days as rows of slots by the clock on the wall; a day of 23 or 25 hours is fitted to 24.

    `numbers` are days since 1970, ascending. An hour that the clock skips has what the hour before it has, and one
    that comes twice has the mean of both.
    """

    numbers: loads.Int64s
    slot_seconds: int
    imported: loads.Int64s
    exported: loads.Int64s | None


def to_days(*, load: loads.IntervalSeries, period: loads.BillingPeriod) -> Days:
    """Return the complete days of a load in the zone of a billing period."""
    lengths = set(load.seconds.tolist())
    slot = lengths.pop() if len(lengths) == 1 else _SECONDS_PER_HOUR
    slot = slot if slot <= _SECONDS_PER_HOUR and _SECONDS_PER_HOUR % slot == 0 else _SECONDS_PER_HOUR
    times = local_time.to_local(starts=load.starts, zone=period.zone, holidays=frozenset())
    seconds = times.hour * _SECONDS_PER_HOUR + load.starts % _SECONDS_PER_HOUR
    numbers, places = np.unique(times.day, return_inverse=True)
    read = np.bincount(places, weights=load.seconds, minlength=len(numbers)).astype(np.int64)
    wanted = np.array([_length(day=int(number), period=period) for number in numbers], dtype=np.int64)
    is_whole = read == wanted
    slots = seconds // slot
    shape = (len(numbers), _SECONDS_PER_DAY // slot)
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (places, slots), load.seconds)

    def fill(energy: loads.Int64s) -> loads.Int64s:
        """Return the energy of whole days by slot."""
        sums = np.zeros(shape, dtype=np.int64)
        np.add.at(sums, (places, slots), energy)
        means = np.where(counts > slot, sums * slot // np.maximum(counts, 1), sums)
        for column in range(1, shape[1]):
            missing = counts[:, column] == 0
            means[missing, column] = means[missing, column - 1]
        whole: loads.Int64s = means[is_whole]
        return whole

    exported = None if load.export_milliwh is None else fill(load.export_milliwh)
    return Days(numbers[is_whole], slot, fill(load.import_milliwh), exported)


def draw(
    *,
    days: Days,
    known: loads.IntervalSeries,
    period: loads.BillingPeriod,
    until: datetime.date,
    paths: int = PATHS,
    seed: int = SEED,
) -> list[loads.IntervalSeries]:
    """Return loads of a whole period: what is known of the days before `until`, and drawn days from there on.

    One load where nothing is left to draw, and none where no week before can stand for a day to come.
    """
    inside = known.between(starts=period.starts, ends=_midnight(max(until, period.starts_on), period))
    first, after = (max(until, period.starts_on) - _EPOCH).days, (period.ends_on - _EPOCH).days
    if first >= after:
        return [inside]
    blocks = [range(start, min(start + _WEEK, after)) for start in range(first, after, _WEEK)]
    place_of = {int(number): place for place, number in enumerate(days.numbers)}
    donors = [
        [shift for shift in (*_RECENT, *_YEAR_AGO) if all(number - shift in place_of for number in block)]
        for block in blocks
    ]
    if not all(donors):
        return []
    starts = np.arange(_midnight(max(until, period.starts_on), period), period.ends, days.slot_seconds, dtype=np.int64)
    times = local_time.to_local(starts=starts, zone=period.zone, holidays=frozenset())
    slots = (times.hour * _SECONDS_PER_HOUR + starts % _SECONDS_PER_HOUR) // days.slot_seconds
    numbers = np.random.default_rng(seed)
    drifts = _drifts(days=days, horizon=after - first)
    level = int(days.imported[-_WEEK:].sum()) * (after - first)
    drawn: list[loads.IntervalSeries] = []
    for _ in range(paths):
        chosen = np.empty(after - first, dtype=np.int64)
        for block, shifts in zip(blocks, donors, strict=True):
            shift = shifts[int(numbers.integers(len(shifts)))]
            chosen[block.start - first : block.stop - first] = [place_of[number - shift] for number in block]
        rows = chosen[times.day - first]
        taken = days.imported[rows, slots]
        wanted = level * float(numbers.choice(drifts)) / min(_WEEK, len(days.numbers))
        factor_micro = round(wanted * _MICRO / max(int(taken.sum()), 1)) if level else _MICRO
        exported = None if days.exported is None else days.exported[rows, slots]
        drawn.append(
            _join(inside=inside, starts=starts, days=days, taken=taken * factor_micro // _MICRO, given=exported)
        )
    return drawn


def share_to_come(*, period: loads.BillingPeriod, until: datetime.date) -> float:
    """Return which share of a period's days is not read yet."""
    return (period.ends_on - max(until, period.starts_on)).days / period.days


def tenths(*, totals_nano: Sequence[int]) -> tuple[int, int]:
    """Return the tenth and the ninetieth percentile of priced paths.

    :raises ValueError: there is no path.
    """
    if not totals_nano:
        raise ValueError("There is no path.")
    ordered = sorted(totals_nano)
    low, high = (ordered[min(len(ordered) - 1, len(ordered) * tenths // 10)] for tenths in (1, 9))
    return low, high


def spread(*, totals_nano: Sequence[int], to_come: float, step_nano: int = 10**7) -> Spread:
    """Return the mean of priced paths and the bounds of the bill, in whole steps (a cent); `to_come` of it is drawn.

    The bounds are the tenth and the ninetieth percentile, drawn apart by the share of their width by which four of five
    bills lay outside at most in forecasts that were held out (`benchmarks.forecast`).

    :raises ValueError: there is no path.
    """
    low, high = tenths(totals_nano=totals_nano)
    mean = round(sum(totals_nano) / (len(totals_nano) * step_nano)) * step_nano if len(totals_nano) > 1 else low
    wider = (high - low) * (_WIDER_EARLY_MILLI if to_come > EARLY_SHARE else _WIDER_LATE_MILLI) // _MILLI
    wider = -(-wider // step_nano) * step_nano
    return Spread(expected_nano=mean, low_nano=low - wider, high_nano=high + wider)


def running_period(
    *, last: tuple[datetime.date, datetime.date] | None, today: datetime.date
) -> tuple[datetime.date, datetime.date]:
    """Return the local days `[starts_on, ends_on)` of the bill that is running, by the days of the last bill.

    A bill from a day of one month to the same day of another is followed by the like; any other by as many days.
    Without a last bill it is the calendar month.
    """
    if last is None:
        first = today.replace(day=1)
        return first, _months_on(first, 1)
    starts_on, ends_on = last
    months = (ends_on.year - starts_on.year) * 12 + ends_on.month - starts_on.month
    is_monthly = starts_on.day == ends_on.day and months > 0
    length = ends_on - starts_on
    while ends_on <= today:
        starts_on, ends_on = ends_on, _months_on(ends_on, months) if is_monthly else ends_on + length
    return starts_on, ends_on


def _drifts(*, days: Days, horizon: int) -> list[float]:
    """Return what some days took over what as many would have taken at the level of the seven before them."""
    totals = days.imported.sum(axis=1)
    span = max(1, min(horizon, len(totals) - _WEEK))
    found: list[float] = []
    for place in range(max(_WEEK, len(totals) - _DRIFT_DAYS), len(totals) - span + 1):
        first, last = days.numbers[place - _WEEK], days.numbers[place + span - 1]
        before, later = int(totals[place - _WEEK : place].sum()), int(totals[place : place + span].sum())
        if last - first == _WEEK + span - 1 and before and later:
            drift = later * _WEEK / (before * span)
            found += [min(drift, _MOST_DRIFT), max(1 / drift, 1 / _MOST_DRIFT)]
    return found or [1.0]


def _join(
    *,
    inside: loads.IntervalSeries,
    starts: loads.Int64s,
    days: Days,
    taken: loads.Int64s,
    given: loads.Int64s | None,
) -> loads.IntervalSeries:
    before = inside.export_milliwh
    if before is None and given is not None:
        before = np.zeros_like(inside.import_milliwh)
    if given is None and before is not None:
        given = np.zeros_like(taken)
    return loads.IntervalSeries(
        starts=np.concatenate([inside.starts, starts]),
        seconds=np.concatenate([inside.seconds, np.full(len(starts), days.slot_seconds, dtype=np.int64)]),
        import_milliwh=np.concatenate([inside.import_milliwh, taken]),
        export_milliwh=None if before is None or given is None else np.concatenate([before, given]),
    )


def _length(*, day: int, period: loads.BillingPeriod) -> int:
    date = _EPOCH + datetime.timedelta(days=day)
    return _midnight(date + datetime.timedelta(days=1), period) - _midnight(date, period)


def _midnight(day: datetime.date, period: loads.BillingPeriod) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), tzinfo=period.zone).timestamp())


def _months_on(day: datetime.date, months: int) -> datetime.date:
    number = day.year * 12 + day.month - 1 + months
    year, month = number // 12, number % 12 + 1
    return datetime.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
