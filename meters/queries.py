"""Reads of meter data: intervals, days, months, and what is missing from them.

What a meter read is stored; what is read here is energy, reads times the multiplier of the meter that stood at the
point on that local day (`meters.domain.multipliers`). So a bill and what is shown are one number.
"""

import dataclasses
import datetime
import fractions
import itertools
import operator
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection
from django.db.models import Count

from customers import models as customers_models
from meters import models
from meters.domain import multipliers, packing, sharing, units, usage
from openvpp.core import errors
from openvpp.core import period as periods

NO_ACCOUNT = 0
LONGEST_READ_DAYS = 1100


class UnableToReadUsage(errors.Invalid):
    """The span asked for is not one that is read at once, or its reads cannot be turned into energy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a span is there: seconds wanted, seconds with a value, and the spans without one."""

    wanted_seconds: int
    present_seconds: int
    gaps: tuple[periods.Period, ...]

    @property
    def is_complete(self) -> bool:
        """Say whether nothing is missing."""
        return not self.gaps


def get_consumption(
    *, service_point_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> usage.Consumption:
    """Return what a service point took and gave in `[starts_at, ends_at)`, interval by interval.

    Channels that count are added up on the finest common intervals; a net channel is split by its sign.
    Intervals count where they start; gaps are absent. Each interval of a channel is its read times the multiplier of
    the meter that stood there on that local day, rounded down to the thousandth of a Wh.

    :raises UnableToReadUsage: an end is naive, the span is too long, channels lie on grids that cannot be added, or
        meters of different multipliers stood there on one day.
    """
    span = _span(starts_at, ends_at)
    parts = _read(
        "channel.service_point_id = %s AND channel.source = 'meter' AND channel.unit = 'Wh' AND channel.is_counted",
        [service_point_id],
        span,
        metered=[service_point_id],
    )
    try:
        return usage.combine(parts=[(units.Flow(flow), part) for _, flow, part in parts])
    except packing.Unpackable as error:
        raise UnableToReadUsage(str(error)) from error


def get_channel_intervals(
    *, channel_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> usage.Intervals:
    """Return one channel's intervals in `[starts_at, ends_at)`, missing ones absent; a meter's are multiplied.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    channel = models.Channel.objects.filter(pk=channel_id, source=models.Channel.Source.METER).first()
    metered = [channel.service_point_id] if channel and channel.service_point_id else []
    found = _read("channel.id = %s", [channel_id], _span(starts_at, ends_at), metered=metered)
    return usage.join([part for *_, part in found])


def get_device_intervals(
    *, device_key: str, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> usage.Intervals:
    """Return a device's telemetry in `[starts_at, ends_at)`, missing intervals absent; empty if it never sent any.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    condition = "channel.source = 'device' AND channel.key = %s"
    found = _read(condition, [device_key], _span(starts_at, ends_at), metered=[])
    return usage.join([part for *_, part in found])


def get_intervals_of_many(
    *, service_point_ids: Sequence[int], starts_at: datetime.datetime, ends_at: datetime.datetime
) -> dict[int, list[tuple[units.Flow, usage.Intervals]]]:
    """Return the energy of the counted channels of many service points in one read, by service point.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    found: dict[int, list[tuple[units.Flow, usage.Intervals]]] = {}
    for point, flow, part in _read(
        "channel.service_point_id = ANY(%s) AND channel.source = 'meter' AND channel.unit = 'Wh' "
        "AND channel.is_counted",
        [list(service_point_ids)],
        _span(starts_at, ends_at),
        metered=service_point_ids,
    ):
        found.setdefault(point, []).append((units.Flow(flow), part))
    return found


def get_daily(*, service_point_id: int, first: datetime.date, last: datetime.date) -> list[usage.Total]:
    """Return the local days from `first` to `last`, both included, that have readings.

    :raises UnableToReadUsage: the span is too long, or meters of different multipliers stood there on one day.
    """
    return _totals(service_point_id=service_point_id, first=first, last=last, key=lambda day: day)


def get_monthly(*, service_point_id: int, first: datetime.date, last: datetime.date) -> list[usage.Total]:
    """Return the local months touched by the days from `first` to `last` that have readings in those days.

    :raises UnableToReadUsage: the span is too long, or meters of different multipliers stood there on one day.
    """
    return _totals(service_point_id=service_point_id, first=first, last=last, key=lambda day: day.replace(day=1))


def get_coverage(*, service_point_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime) -> Coverage:
    """Return what of `[starts_at, ends_at)` the main delivered channel has, and where its gaps are.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    consumption = get_consumption(service_point_id=service_point_id, starts_at=starts_at, ends_at=ends_at)
    gaps = usage.gaps(
        starts=consumption.starts,
        seconds=consumption.seconds,
        span=(int(starts_at.timestamp()), int(ends_at.timestamp())),
    )
    return Coverage(
        wanted_seconds=int(ends_at.timestamp()) - int(starts_at.timestamp()),
        present_seconds=int(consumption.seconds.sum()),
        gaps=tuple(
            periods.Period(
                datetime.datetime.fromtimestamp(start, tz=datetime.UTC),
                datetime.datetime.fromtimestamp(end, tz=datetime.UTC),
            )
            for start, end in gaps
        ),
    )


def get_period_readings(*, service_point_id: int) -> list[models.PeriodReading]:
    """Return the readings over spans longer than a day, the standing version of each, oldest first.

    They are as they came, not multiplied: such a span may hold several meters.
    """
    rows = models.PeriodReading.objects.filter(
        channel__service_point_id=service_point_id, channel__is_counted=True
    ).order_by("starts_at", "ends_at", "channel_id", "-version")
    return list(rows.distinct("starts_at", "ends_at", "channel_id"))


def get_extent(*, service_point_id: int) -> tuple[datetime.date, datetime.date] | None:
    """Return the first and the last local day with readings, or None."""
    dates = models.MeterDay.objects.filter(
        channel__service_point_id=service_point_id, channel__source=models.Channel.Source.METER
    ).order_by("local_date")
    first, last = dates.first(), dates.last()
    return (first.local_date, last.local_date) if first and last else None


def get_usage_plot(*, service_point_id: int, last: datetime.date | None = None, days: int = 31) -> usage.Plot | None:
    """Return the daily usage of the `days` up to `last` (the last day with readings) for a plot, or None if empty.

    :raises UnableToReadUsage: see `get_daily`.
    """
    extent = get_extent(service_point_id=service_point_id)
    if extent is None:
        return None
    until = last or extent[1]
    totals = get_daily(service_point_id=service_point_id, first=until - datetime.timedelta(days=days - 1), last=until)
    channel = models.Channel.objects.filter(service_point_id=service_point_id).first()
    return usage.Plot(totals=tuple(totals), time_zone=channel.time_zone) if channel and totals else None


def get_visible_service_point(*, user: customers_models.User, service_point_id: int) -> customers_models.ServicePoint:
    """Return a service point that a person may know of.

    :raises errors.NotFound: there is none, or it is not theirs.
    """
    point: customers_models.ServicePoint | None = (
        customers_models.ServicePoint.objects.visible_to(user)
        .select_related("premise__utility")
        .filter(pk=service_point_id)
        .first()
    )
    if point is None:
        raise errors.NotFound("There is no such service point.", code="not_found")
    return point


def get_visible_days(*, user: customers_models.User, service_point_id: int) -> list[sharing.DayRange] | None:
    """Return the local days of a service point that a person may see; None means all of them, to staff.

    Who moves in does not see what was used before, and who moved out not what is used after.
    """
    if customers_models.ServicePoint.objects.for_staff(user).filter(pk=service_point_id).exists():
        return None
    agreements = customers_models.ServiceAgreement.objects.for_customer(user).filter(service_point_id=service_point_id)
    return [sharing.DayRange(agreement.starts_on, agreement.ends_on) for agreement in agreements]


def get_service_point_id(*, utility_id: int, number: str) -> int:
    """Return a utility's service point by its number.

    :raises errors.NotFound: the utility has none, or several, of that number.
    """
    found = list(customers_models.ServicePoint.objects.of_utility(utility_id).filter(number=number)[:2])
    if len(found) != 1:
        raise errors.NotFound(f"The utility has no one service point {number}.", code="not_found")
    return int(found[0].pk)


def get_service_points_of_utility(*, utility_id: int, numbers: Sequence[str]) -> dict[str, int]:
    """Return the service points of a utility by their numbers; absent ones are absent."""
    rows = customers_models.ServicePoint.objects.of_utility(utility_id).filter(number__in=numbers)
    return {row.number: row.pk for row in rows}


def lock_channels(*, channel_ids: Sequence[int]) -> None:
    """Lock channels in the order of their ids."""
    list(models.Channel.objects.filter(pk__in=channel_ids).order_by("pk").select_for_update(no_key=True))


def count_versions(*, channel_id: int, dates: Sequence[datetime.date]) -> dict[datetime.date, int]:
    """Return how often each of these days was superseded; absent days never were."""
    if not dates:
        return {}
    rows = models.MeterDayVersion.objects.filter(channel_id=channel_id, local_date__in=dates).values_list("local_date")
    return dict(rows.annotate(Count("version")))


def account_by_day(
    *, service_point_id: int | None, first: datetime.date, last: datetime.date
) -> Callable[[datetime.date], int]:
    """Return which account took service at a point on each local day of a span; NO_ACCOUNT where none did."""
    agreements = (
        []
        if service_point_id is None
        else list(
            customers_models.ServiceAgreement.objects.filter(
                service_point_id=service_point_id, starts_on__lte=last
            ).exclude(ends_on__lte=first)
        )
    )

    def account_of(day: datetime.date) -> int:
        for agreement in agreements:
            if agreement.starts_on <= day and (agreement.ends_on is None or day < agreement.ends_on):
                return int(agreement.account_id)
        return NO_ACCOUNT

    return account_of


def _totals(
    *,
    service_point_id: int,
    first: datetime.date,
    last: datetime.date,
    key: Callable[[datetime.date], datetime.date],
) -> list[usage.Total]:
    if (last - first).days > LONGEST_READ_DAYS:
        raise UnableToReadUsage(f"Ask for at most {LONGEST_READ_DAYS} days at once.", code="span_too_long")
    rows = models.MeterDay.objects.filter(
        channel__service_point_id=service_point_id,
        channel__source=models.Channel.Source.METER,
        channel__unit=units.Unit.WATT_HOUR.value,
        channel__is_counted=True,
        local_date__range=(first, last),
    ).select_related("channel")
    meters = _get_multiplying_meters(service_point_ids=[service_point_id], first=first, last=last)
    try:
        return usage.total(
            days=[
                (
                    key(row.local_date),
                    units.Flow(row.channel.flow),
                    row.to_day(),
                    multipliers.on_day(meters=meters.get(service_point_id, ()), day=row.local_date),
                )
                for row in rows.order_by("local_date", "channel_id")
            ]
        )
    except multipliers.Unmultipliable as error:
        raise UnableToReadUsage(str(error), code="unmultipliable") from error


def _get_multiplying_meters(
    *, service_point_ids: Sequence[int], first: datetime.date, last: datetime.date
) -> Mapping[int, list[multipliers.Meter]]:
    """Return the meters standing on local days `first` to `last`, of points where one's multiplier is not 1.

    Points whose reads are energy already, nearly all, are absent.
    """
    standing = customers_models.MeterInstallation.objects.filter(
        service_point_id__in=service_point_ids, starts_on__lte=last
    ).exclude(ends_on__lte=first)
    multiplying = set(standing.exclude(multiplier=1).values_list("service_point_id", flat=True))
    found: dict[int, list[multipliers.Meter]] = {}
    for row in standing.filter(service_point_id__in=multiplying):
        found.setdefault(row.service_point_id, []).append(
            multipliers.Meter(row.serial, fractions.Fraction(row.multiplier), row.starts_on, row.ends_on)
        )
    return found


def _span(starts_at: datetime.datetime, ends_at: datetime.datetime) -> tuple[int, int]:
    try:
        span = periods.Period(starts_at, ends_at)
    except ValueError as error:
        raise UnableToReadUsage(str(error)) from error
    if span.duration > datetime.timedelta(days=LONGEST_READ_DAYS):
        raise UnableToReadUsage(f"Ask for at most {LONGEST_READ_DAYS} days at once.", code="span_too_long")
    return int(starts_at.timestamp()), int(ends_at.timestamp())


def _read(
    condition: str, values: list[Any], span: tuple[int, int], *, metered: Sequence[int]
) -> list[tuple[int, str, usage.Intervals]]:
    """Return (service point, flow, intervals) of each channel that the condition chooses, in one read.

    Reads at the service points of `metered` become energy.
    Days are read by their bytes and never become model instances: a month of a thousand meters is 31,000 of them.
    """
    first = datetime.datetime.fromtimestamp(span[0], tz=datetime.UTC).date() - datetime.timedelta(days=1)
    last = datetime.datetime.fromtimestamp(span[1], tz=datetime.UTC).date() + datetime.timedelta(days=1)
    connection.ensure_connection()
    # Django's own cursors read text; bytes in binary are half as long and need no decoding.
    with psycopg.Cursor(connection.connection) as cursor:
        rows = cursor.execute(
            _READ.format(condition=condition).encode(), [*values, first, last], binary=True
        ).fetchall()
    meters = _get_multiplying_meters(service_point_ids=metered, first=first, last=last) if metered else {}
    found: list[tuple[int, str, usage.Intervals]] = []
    for zone_name, of_zone in _grouped(rows, 3):
        intervals, places = usage.unpack_columns(
            columns=usage.Columns(*list(zip(*of_zone, strict=True))[4:]), zone=zoneinfo.ZoneInfo(zone_name)
        )
        if meters:
            intervals = _multiplied(intervals=intervals, places=places, rows=of_zone, meters=meters, span=span)
        at = 0
        for _, days in _grouped(of_zone, 0):
            part = usage.part_of(intervals=intervals, first=int(places[at]), after=int(places[at + len(days)]))
            found.append((days[0][1], days[0][2], usage.cut(intervals=part, span=span)))
            at += len(days)
    return found


def _multiplied(
    *,
    intervals: usage.Intervals,
    places: packing.Int64s,
    rows: list[Any],
    meters: Mapping[int, list[multipliers.Meter]],
    span: tuple[int, int],
) -> usage.Intervals:
    zone = zoneinfo.ZoneInfo(rows[0][3])
    first, last = (packing.local_date(instant=instant, zone=zone) for instant in (span[0], span[1] - 1))
    try:
        factors = [
            multipliers.on_day(meters=meters.get(row[1], ()), day=row[4])
            if first <= row[4] <= last
            else multipliers.ONE
            for row in rows
        ]
        energy = multipliers.to_energy_by_day(reads=intervals.milli_units, places=places, multipliers=factors)
    except multipliers.Unmultipliable as error:
        raise UnableToReadUsage(str(error), code="unmultipliable") from error
    return dataclasses.replace(intervals, milli_units=energy)


def _grouped(rows: list[Any], column: int) -> Iterator[tuple[Any, list[Any]]]:
    for key, group in itertools.groupby(rows, key=operator.itemgetter(column)):
        yield key, list(group)


_READ = """
    SELECT channel.id, channel.service_point_id, channel.flow, channel.time_zone, day.local_date, day.interval_seconds,
           day.offset_seconds, day.scale, day.qualities, day.counts
    FROM meters_channel AS channel JOIN meters_meterday AS day ON day.channel_id = channel.id
    WHERE {condition} AND day.local_date BETWEEN %s AND %s
    ORDER BY channel.id, day.local_date
"""
