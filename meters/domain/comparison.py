"""A span set beside the same span a year before, day by day, and what of either is not there to compare."""

import dataclasses
import datetime
import enum
from collections.abc import Mapping

from meters.domain import rows

_WEEKS_A_YEAR = datetime.timedelta(weeks=52)


class Alignment(enum.StrEnum):
    """Which day of last year stands beside a day: the one of the same date, or of the same weekday 52 weeks before."""

    DATE = "date"
    WEEKDAY = "weekday"


class Lack(enum.StrEnum):
    """Why a day is not part of the totals."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    NO_COUNTERPART = "no_counterpart"


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A local day and its counterpart; a side is None without readings, `earlier_on` where there is no such day."""

    on: datetime.date
    earlier_on: datetime.date | None
    now: rows.Row | None
    before: rows.Row | None

    @property
    def is_whole(self) -> bool:
        """Say whether both days are there without a gap, so that they may be compared."""
        return all(row is not None and not row.missing for row in (self.now, self.before))


@dataclasses.dataclass(frozen=True, slots=True)
class LackingDay:
    """A day that is left out of the totals, and why."""

    on: datetime.date
    why: Lack


@dataclasses.dataclass(frozen=True, slots=True)
class Compared:
    """Days side by side; the totals add up only the days that both years have whole."""

    pairs: tuple[Pair, ...]
    days_compared: int
    delivered_milli_wh: tuple[int, int]
    received_milli_wh: tuple[int, int]
    lacking_now: tuple[LackingDay, ...]
    lacking_before: tuple[LackingDay, ...]


def counterpart(*, day: datetime.date, alignment: Alignment) -> datetime.date | None:
    """Return the day of the year before; None for 29 February by date, which no other year before it has."""
    if alignment is Alignment.WEEKDAY:
        return day - _WEEKS_A_YEAR
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return None


def compare(
    *,
    days: list[datetime.date],
    now: Mapping[datetime.date, rows.Row],
    before: Mapping[datetime.date, rows.Row],
    alignment: Alignment,
) -> Compared:
    """Set the days beside their counterparts, by the rows of each local day that has readings."""
    pairs = []
    lacking_now: list[LackingDay] = []
    lacking_before: list[LackingDay] = []
    for day in days:
        earlier = counterpart(day=day, alignment=alignment)
        pair = Pair(day, earlier, now.get(day), before.get(earlier) if earlier else None)
        pairs.append(pair)
        lacking_now += _lack(on=day, row=pair.now)
        if earlier is None:
            lacking_before.append(LackingDay(day, Lack.NO_COUNTERPART))
        else:
            lacking_before += _lack(on=earlier, row=pair.before)
    whole = [(pair.now, pair.before) for pair in pairs if pair.is_whole and pair.now and pair.before]
    return Compared(
        pairs=tuple(pairs),
        days_compared=len(whole),
        delivered_milli_wh=(
            sum(row.delivered_milli_wh for row, _ in whole),
            sum(row.delivered_milli_wh for _, row in whole),
        ),
        received_milli_wh=(
            sum(row.received_milli_wh for row, _ in whole),
            sum(row.received_milli_wh for _, row in whole),
        ),
        lacking_now=tuple(lacking_now),
        lacking_before=tuple(lacking_before),
    )


def _lack(*, on: datetime.date, row: rows.Row | None) -> list[LackingDay]:
    if row is None:
        return [LackingDay(on, Lack.MISSING)]
    return [LackingDay(on, Lack.INCOMPLETE)] if row.missing else []
