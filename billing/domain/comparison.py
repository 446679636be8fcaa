"""What one customer's own intervals cost on several tariffs, month by month."""

import dataclasses
import datetime
import itertools
import zoneinfo
from collections.abc import Sequence

from billing.domain import adjustments, bill, loads, rating, rules, tariffs, terms


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version of a tariff that the account may take."""

    code: str
    name: str
    version: datetime.date
    tariff: tariffs.Tariff
    reading: terms.Terms
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The local days `[starts_on, ends_on)` and what they cost, riders, discounts and taxes included."""

    starts_on: datetime.date
    ends_on: datetime.date
    cost_nano: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a tariff would have cost. `omissions` names what of it could not be priced; `failure` why none could."""

    candidate: Candidate
    months: tuple[Month, ...]
    omissions: tuple[str, ...]
    failure: str = ""

    @property
    def total_nano(self) -> int:
        """Return what all months cost."""
        return sum(month.cost_nano for month in self.months)


def whole_months(
    *, first: datetime.date, after: datetime.date, zone: zoneinfo.ZoneInfo, most: int = 12
) -> tuple[loads.BillingPeriod, ...]:
    """Return the latest calendar months that lie whole in `[first, after)`, at most `most`, oldest first."""
    start = first if first.day == 1 else _following(first)
    starts: list[datetime.date] = []
    while _following(start) <= after:
        starts.append(start)
        start = _following(start)
    return tuple(
        loads.BillingPeriod(day, until, zone) for day, until in itertools.pairwise((*starts[-most:], start)) if starts
    )


def covered(*, load: loads.IntervalSeries, period: loads.BillingPeriod) -> bool:
    """Say whether no second of a period is without a reading."""
    return int(load.between(starts=period.starts, ends=period.ends).seconds.sum()) == period.ends - period.starts


def cost(
    *,
    candidate: Candidate,
    load: loads.IntervalSeries,
    periods: Sequence[loads.BillingPeriod],
    book: rules.Rulebook,
) -> Cost:
    """Rate periods that follow each other on a tariff; energy carried and peaks go from each to the next."""
    history = rating.History()
    months: list[Month] = []
    omissions: dict[str, None] = dict.fromkeys(candidate.warnings)
    for period in periods:
        try:
            rated = rating.rate(
                tariff=candidate.tariff, load=load, period=period, reading=candidate.reading, history=history
            )
        except rating.UnableToRate as error:
            return Cost(candidate=candidate, months=(), omissions=tuple(omissions), failure=error.detail)
        added = adjustments.charge(
            lines=rated.lines,
            usage=rated.usage,
            period=period,
            tariff_code=candidate.code,
            reading=candidate.reading,
            book=book,
        )
        omissions |= dict.fromkeys(rated.omissions)
        months.append(
            Month(starts_on=period.starts_on, ends_on=period.ends_on, cost_nano=rated.total_nano + _sum(added))
        )
        history = rating.follow(history=history, rated=rated, ends_year=period.ends_on.month == tariffs.MONTHS)
    return Cost(candidate=candidate, months=tuple(months), omissions=tuple(omissions))


def _sum(lines: Sequence[bill.Line]) -> int:
    return sum(line.amount_nano for line in lines)


def _following(day: datetime.date) -> datetime.date:
    return datetime.date(day.year + day.month // 12, day.month % 12 + 1, 1)
