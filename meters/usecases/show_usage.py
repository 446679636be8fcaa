"""A person looks at what a service point used: in rows, with its gaps, beside last year, or as one stream to keep."""

import dataclasses
import datetime
import itertools
import zoneinfo
from collections.abc import Iterator

import numpy as np

from customers import models as customers_models
from meters import queries
from meters.domain import comparison, packing, rows, sharing, units, usage
from openvpp.core import errors

LONGEST_DAYS = {rows.Step.INTERVAL: 93, rows.Step.HOUR: 186, rows.Step.DAY: 800, rows.Step.MONTH: 1100}
LONGEST_COMPARISON_DAYS = 366
LONGEST_DOWNLOAD_DAYS = 366
MOST_GAPS = 100
PLOTTED_DAYS = 31
ONE_DAY = datetime.timedelta(days=1)


class UnableToShowUsage(errors.Invalid):
    """The span or the page asked for is not one that can be shown; the detail says which is."""


type Days = tuple[datetime.date, datetime.date]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A service point as one person may see it: the parts of `[first, after)` that are theirs, ascending."""

    point: customers_models.ServicePoint
    zone: zoneinfo.ZoneInfo
    parts: tuple[Days, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Gaps:
    """Spans without a value, epoch seconds, the first `MOST_GAPS` of `count`."""

    spans: tuple[tuple[int, int], ...]
    count: int


def find(
    *, user: customers_models.User, service_point_id: int, first: datetime.date, after: datetime.date, most_days: int
) -> Place:
    """Return what a person may see of a point in the local days `[first, after)`.

    :raises errors.NotFound: there is no such point, or it is not theirs.
    :raises UnableToShowUsage: the span is longer than `most_days`.
    """
    if (after - first).days > most_days:
        raise UnableToShowUsage(f"Ask for at most {most_days} days at once.", code="span_too_long")
    point = queries.get_visible_service_point(user=user, service_point_id=service_point_id)
    ranges = queries.get_visible_days(user=user, service_point_id=point.pk)
    return Place(
        point=point,
        zone=zoneinfo.ZoneInfo(point.premise.utility.time_zone),
        parts=tuple(sharing.clip(ranges=ranges, first=first, after=after)),
    )


def get_rows(
    *, place: Place, step: rows.Step, now: datetime.datetime, begin_at: int = 0
) -> tuple[list[rows.Row], Gaps]:
    """Return the rows that start at `begin_at` (epoch seconds) or later, and all gaps of the place's parts up to now.

    :raises UnableToShowUsage: the readings are longer than the step.
    :raises meters.queries.UnableToReadUsage: see `meters.queries.get_consumption`.
    """
    until = int(now.timestamp())
    found: list[rows.Row] = []
    gaps: list[tuple[int, int]] = []
    for first, after in place.parts:
        read = _read(place=place, first=first, after=after)
        span = tuple(min(packing.midnight(day=day, zone=place.zone), until) for day in (first, after))
        gaps += usage.gaps(starts=read.starts, seconds=read.seconds, span=(span[0], span[1]))
        try:
            found += _rows(read=read, place=place, days=(first, after), step=step, until=until, begin_at=begin_at)
        except rows.Unshowable as error:
            raise UnableToShowUsage(str(error), code="readings_too_long") from error
    return found, Gaps(tuple(gaps[:MOST_GAPS]), len(gaps))


def compare(
    *, place: Place, user: customers_models.User, alignment: comparison.Alignment, now: datetime.datetime
) -> comparison.Compared:
    """Set the days of a place beside those of the year before that the same person may see.

    :raises meters.queries.UnableToReadUsage: see `meters.queries.get_consumption`.
    """
    days = [day for part in place.parts for day in _days_of(part)]
    earlier = [day for day in (comparison.counterpart(day=day, alignment=alignment) for day in days) if day]
    before = (
        find(
            user=user,
            service_point_id=place.point.pk,
            first=min(earlier),
            after=max(earlier) + ONE_DAY,
            most_days=LONGEST_COMPARISON_DAYS + 7,
        )
        if earlier
        else dataclasses.replace(place, parts=())
    )
    return comparison.compare(
        days=days,
        now=_by_day(place=place, now=now),
        before=_by_day(place=before, now=now),
        alignment=alignment,
    )


def get_latest_plot(*, user: customers_models.User, service_point_id: int, now: datetime.datetime) -> usage.Plot | None:
    """Return the latest month of daily usage that a person may see at a point, or None if there is none.

    :raises errors.NotFound: there is no such point, or it is not theirs.
    :raises meters.queries.UnableToReadUsage: see `meters.queries.get_consumption`.
    """
    extent = queries.get_extent(service_point_id=service_point_id)
    ranges = queries.get_visible_days(user=user, service_point_id=service_point_id)
    parts = sharing.clip(ranges=ranges, first=extent[0], after=extent[1] + ONE_DAY) if extent else []
    if not parts:
        return None
    after = parts[-1][1]
    first = after - PLOTTED_DAYS * ONE_DAY
    place = find(user=user, service_point_id=service_point_id, first=first, after=after, most_days=PLOTTED_DAYS)
    totals = [
        usage.Total(
            starts_on=day,
            delivered_milli_wh=row.delivered_milli_wh,
            received_milli_wh=row.received_milli_wh,
            intervals=0,
            missing=row.missing,
            estimated=row.estimated,
        )
        for day, row in _by_day(place=place, now=now).items()
    ]
    return usage.Plot(totals=tuple(totals), time_zone=place.zone.key) if totals else None


def stream(*, place: Place) -> Iterator[usage.Consumption]:
    """Yield a place's intervals local month by local month, so that a year is never held at once.

    :raises meters.queries.UnableToReadUsage: see `meters.queries.get_consumption`.
    """
    for first, after in place.parts:
        edges = rows.day_edges(first=first, after=after, zone=place.zone, step=rows.Step.MONTH)
        for start, end in itertools.pairwise(edges):
            yield queries.get_consumption(
                service_point_id=place.point.pk, starts_at=_instant(start), ends_at=_instant(end)
            )


def periods(*, place: Place) -> usage.Consumption:
    """Return what spans longer than a day were read to be, as monthly feeds say it, of days that are a place's own.

    Nothing where reads are multiplied, since such a span may hold several meters.
    """
    spans = [
        (packing.midnight(day=first, zone=place.zone), packing.midnight(day=after, zone=place.zone))
        for first, after in place.parts
    ]
    found = [
        (int(row.starts_at.timestamp()), int(row.ends_at.timestamp()), row)
        for row in queries.get_period_readings(service_point_id=place.point.pk)
        if row.channel.unit == units.Unit.WATT_HOUR and row.channel.flow != units.Flow.NET
    ]
    kept = [
        (starts, ends - starts, row.milli_units, row.channel.flow == units.Flow.RECEIVED, row.quality)
        for starts, ends, row in found
        if any(first <= starts and ends <= after for first, after in spans)
    ]
    if not kept or queries.is_multiplied(service_point_id=place.point.pk):
        return usage.nothing()
    columns = np.array([row[:3] for row in kept], dtype=np.int64)
    is_received = np.array([row[3] for row in kept], dtype=np.bool_)
    return usage.Consumption(
        starts=columns[:, 0],
        seconds=columns[:, 1],
        delivered_milli_wh=np.where(is_received, 0, columns[:, 2]),
        received_milli_wh=np.where(is_received, columns[:, 2], 0),
        qualities=np.array([row[4] for row in kept], dtype=np.uint8),
    )


def _rows(
    *, read: usage.Consumption, place: Place, days: Days, step: rows.Step, until: int, begin_at: int
) -> list[rows.Row]:
    if step is rows.Step.INTERVAL:
        return rows.by_interval(read=read.since(begin_at))
    edges = rows.day_edges(first=days[0], after=days[1], zone=place.zone, step=step)
    return [row for row in rows.by_edges(read=read, edges=edges, until=until) if row.starts >= begin_at]


def _by_day(*, place: Place, now: datetime.datetime) -> dict[datetime.date, rows.Row]:
    found, _ = get_rows(place=place, step=rows.Step.DAY, now=now)
    return {packing.local_date(instant=row.starts, zone=place.zone): row for row in found}


def _read(*, place: Place, first: datetime.date, after: datetime.date) -> usage.Consumption:
    return queries.get_consumption(
        service_point_id=place.point.pk,
        starts_at=_instant(packing.midnight(day=first, zone=place.zone)),
        ends_at=_instant(packing.midnight(day=after, zone=place.zone)),
    )


def _days_of(part: Days) -> list[datetime.date]:
    return [part[0] + number * ONE_DAY for number in range((part[1] - part[0]).days)]


def _instant(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
