"""Days and months, what is missing from a span, and readings longer than a day."""

import dataclasses
import datetime
import zoneinfo
from collections.abc import Callable

from customers import models as customers_models
from meters import models
from meters.domain import multipliers, packing, units, usage
from meters.domain import rows as steps
from meters.queries import meters_standing, reading
from openvpp.core import period as periods


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
    consumption = reading.get_consumption(service_point_id=service_point_id, starts_at=starts_at, ends_at=ends_at)
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
    return list(rows.distinct("starts_at", "ends_at", "channel_id").select_related("channel"))


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


def _totals(
    *,
    service_point_id: int,
    first: datetime.date,
    last: datetime.date,
    key: Callable[[datetime.date], datetime.date],
) -> list[usage.Total]:
    if (last - first).days > reading.LONGEST_READ_DAYS:
        raise reading.UnableToReadUsage(
            f"Ask for at most {reading.LONGEST_READ_DAYS} days at once.", code="span_too_long"
        )
    if models.Submeter.objects.filter(parent_id=service_point_id, starts_on__lte=last).exists():
        return _totals_left(service_point_id=service_point_id, first=first, last=last, key=key)
    rows = models.MeterDay.objects.filter(
        channel__service_point_id=service_point_id,
        channel__source=models.Channel.Source.METER,
        channel__unit=units.Unit.WATT_HOUR.value,
        channel__is_counted=True,
        local_date__range=(first, last),
    ).select_related("channel")
    meters = meters_standing.get_multiplying(service_point_ids=[service_point_id], first=first, last=last)
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
        raise reading.UnableToReadUsage(str(error), code="unmultipliable") from error


def _totals_left(
    *,
    service_point_id: int,
    first: datetime.date,
    last: datetime.date,
    key: Callable[[datetime.date], datetime.date],
) -> list[usage.Total]:
    """Return the same of a point with meters behind it: what they leave, day by day."""
    point = customers_models.ServicePoint.objects.select_related("premise__utility").get(pk=service_point_id)
    zone = zoneinfo.ZoneInfo(point.premise.utility.time_zone)
    after = last + datetime.timedelta(days=1)
    edges = steps.day_edges(first=first, after=after, zone=zone, step=steps.Step.DAY)
    begins, ends = (datetime.datetime.fromtimestamp(edge, tz=zone) for edge in (edges[0], edges[-1]))
    read = reading.get_consumption(service_point_id=service_point_id, starts_at=begins, ends_at=ends)
    found: dict[datetime.date, usage.Total] = {}
    for row in steps.by_edges(read=read, edges=edges, until=edges[-1]):
        on = key(packing.local_date(instant=row.starts, zone=zone))
        known = found.get(on, usage.Total(on, 0, 0, 0, 0, 0))
        found[on] = usage.Total(
            starts_on=on,
            delivered_milli_wh=known.delivered_milli_wh + row.delivered_milli_wh,
            received_milli_wh=known.received_milli_wh + row.received_milli_wh,
            intervals=known.intervals + row.intervals,
            missing=known.missing + row.missing,
            estimated=known.estimated + row.estimated,
        )
    return list(found.values())
