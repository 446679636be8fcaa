"""Readings become days: what is new is added, what is known changes nothing, what is replaced is kept."""

import dataclasses
import datetime
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import psycopg

from meters import models, queries
from meters.domain import delivery, packing, units
from meters.operations import asking, signing
from openvpp.core import db, errors, upcalls


class UnableToStoreReadings(errors.Invalid):
    """The readings contradict what is stored or do not make days; nothing was written."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """What storing readings did, in days of channels (a span longer than a day counts as one)."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(self.added + other.added, self.changed + other.changed, self.unchanged + other.unchanged)


@db.transaction_required
def store(
    *,
    batch: models.ImportBatch,
    channels: Sequence[delivery.ChannelReadings],
    points: Mapping[str, int],
    now: datetime.datetime,
) -> Stored:
    """Write readings of meters at service points (`points`: usage point to service point).

    A day that is there already takes the new intervals over the old ones and keeps the old day as a version;
    readings that say what is known change nothing. What is odd about them is asked (`meters.domain.validation`).

    :raises UnableToStoreReadings: see its name.
    """
    zone_name = batch.utility.time_zone
    pairs = [
        (
            open_channel(
                utility_id=batch.utility_id,
                service_point_id=points[readings.usage_point],
                source=models.Channel.Source.METER,
                key=readings.key,
                flow=readings.flow,
                unit=readings.unit,
                time_zone=zone_name,
                is_counted=readings.is_counted,
            ),
            readings,
        )
        for readings in channels
    ]
    done = Stored()
    for channel, readings in locked(pairs):
        done += store_days(batch=batch, channel=channel, series=readings.series, now=now)
        done += _store_periods(batch=batch, channel=channel, values=readings.periods)
        _retire_derived(channel=channel, series=readings.series, now=now)
        starts = [int(series.starts[0]) for series in readings.series if len(series)]
        if starts:
            asking.ask(channel=channel, since=min(starts), batch=batch, conflicts=readings.conflicts, now=now)
    if done.added or done.changed:
        upcalls.call(event="meters.readings_stored", service_point_ids=sorted({*points.values()}), now=now)
    return done


@db.transaction_required
def store_whole_days(
    *,
    batch: models.ImportBatch,
    channel_ids: npt.NDArray[np.int64],
    account_ids: npt.NDArray[np.int64],
    dates: npt.NDArray[np.datetime64],
    interval_seconds: int,
    milli_units: npt.NDArray[np.int64],
    quality: units.Quality,
) -> None:
    """Write days that are not there yet, complete and of one length: what a head-end delivers every morning.

    One row of `milli_units` [rows, intervals] for each pair of channel and local day. The days of daylight saving
    have another length and go in a call of their own. Nothing is asked about them: whoever delivers this way has
    validated the readings, or calls `ask` for each channel.

    :raises UnableToStoreReadings: a day is there already (store it by `store`, which keeps versions), or a value
        does not fit.
    :raises UnableToBelieveReading: a device of one of these points has to sign its readings.
    """
    from meters.domain import bulk  # noqa: PLC0415 - loads the compiler, 70 MB that other processes do not need

    points = models.Channel.objects.filter(pk__in=np.unique(channel_ids).tolist()).values("service_point_id")
    signing.refuse_unsigned(service_point_ids=points)
    try:
        pieces = bulk.to_copy(
            channel_ids=channel_ids,
            account_ids=account_ids,
            dates=dates,
            batch_id=batch.pk,
            interval_seconds=interval_seconds,
            milli_units=milli_units,
            quality=quality,
        )
        with db.savepoint():
            models.MeterDay.copy_pieces(pieces=pieces)
    except packing.Unpackable as error:
        raise UnableToStoreReadings(str(error)) from error
    except psycopg.IntegrityError as error:  # COPY passes Django by
        raise UnableToStoreReadings("Some of these days are stored already.", code="days_stored_already") from error
    upcalls.call(event="meters.readings_stored", service_point_ids=points, now=batch.imported_at)


def open_channel(
    *,
    utility_id: int,
    service_point_id: int | None,
    source: models.Channel.Source,
    key: str,
    flow: units.Flow,
    unit: units.Unit,
    time_zone: str,
    is_counted: bool,
) -> models.Channel:
    """Return the channel, made if there is none."""
    channel, _ = models.Channel.objects.get_or_create(
        utility_id=utility_id,
        service_point_id=service_point_id,
        source=source,
        key=key,
        flow=flow.value,
        unit=unit.value,
        defaults={"time_zone": time_zone, "is_counted": is_counted},
    )
    return channel


def locked[T](pairs: Iterable[tuple[models.Channel, T]]) -> list[tuple[models.Channel, T]]:
    """Lock the channels in the order of their ids, so that two deliveries wait for each other and never deadlock."""
    by_id = sorted(pairs, key=lambda pair: pair[0].pk)
    queries.lock_channels(channel_ids=[channel.pk for channel, _ in by_id])
    return by_id


def store_days(
    *, batch: models.ImportBatch, channel: models.Channel, series: Sequence[packing.Series], now: datetime.datetime
) -> Stored:
    """Write a locked channel's series.

    :raises UnableToStoreReadings: they contradict the grid of a day.
    """
    zone = zoneinfo.ZoneInfo(channel.time_zone)
    done = Stored()
    for one in series:
        try:
            days = packing.pack(series=one, zone=zone)
            done += _store_packed(batch=batch, channel=channel, days=days, now=now)
        except packing.Unpackable as error:
            raise UnableToStoreReadings(str(error)) from error
    return done


def _store_packed(
    *,
    batch: models.ImportBatch,
    channel: models.Channel,
    days: list[packing.Day],
    now: datetime.datetime,
) -> Stored:
    if not days:
        return Stored()
    present = {
        row.local_date: row
        for row in models.MeterDay.objects.filter(
            channel_id=channel.pk, local_date__range=(days[0].local_date, days[-1].local_date)
        )
    }
    account_of = queries.account_by_day(
        service_point_id=channel.service_point_id, first=days[0].local_date, last=days[-1].local_date
    )
    fresh = [
        models.MeterDay.of(day=day, channel=channel, account_id=account_of(day.local_date), batch=batch)
        for day in days
        if day.local_date not in present
    ]
    versions = _versions_behind_decisions(channel_id=channel.pk, present=present)
    newer = [
        (present[day.local_date], new)
        for day in days
        if day.local_date in present
        and (
            new := packing.overlay(
                old=present[day.local_date].to_day(), new=day, earlier=versions.get(day.local_date, ())
            )
        )
        is not None
    ]
    changed = [
        models.MeterDay.of(day=new, channel=channel, account_id=row.account_id, batch=batch) for row, new in newer
    ]
    earlier = queries.count_versions(channel_id=channel.pk, dates=[row.local_date for row, _ in newer])
    superseded = [
        models.MeterDayVersion.of(day=row, version=earlier.get(row.local_date, 0) + 1, superseded_at=now)
        for row, _ in newer
    ]
    models.MeterDayVersion.objects.bulk_create(superseded, batch_size=1000)
    models.MeterDay.objects.filter(channel_id=channel.pk, local_date__in=[row.local_date for row in changed]).delete()
    models.MeterDay.copy_in(rows=fresh + changed)
    return Stored(added=len(fresh), changed=len(changed), unchanged=len(days) - len(fresh) - len(changed))


def _retire_derived(*, channel: models.Channel, series: Sequence[packing.Series], now: datetime.datetime) -> None:
    """Take back what a register's reads were spread to on days that another channel of the point now measures."""
    if not channel.is_counted or not models.Register.objects.filter(service_point=channel.service_point_id).exists():
        return
    zone = zoneinfo.ZoneInfo(channel.time_zone)
    for one in series:
        days = [packing.local_date(instant=int(at), zone=zone) for at in (one.starts[0], one.starts[-1])]
        derived = [
            row
            for row in models.MeterDay.objects.filter(
                channel__service_point=channel.service_point_id,
                channel__source=models.Channel.Source.METER,
                channel__flow=channel.flow,
                channel__unit=channel.unit,
                channel__is_counted=True,
                local_date__range=days,
            ).exclude(channel_id=channel.pk)
            if set(bytes(row.qualities)) <= {units.Quality.MISSING, units.Quality.DERIVED}
        ]
        for row in derived:
            earlier = queries.count_versions(channel_id=row.channel_id, dates=[row.local_date])
            models.MeterDayVersion.of(day=row, version=earlier.get(row.local_date, 0) + 1, superseded_at=now).save(
                force_insert=True
            )
            models.MeterDay.objects.filter(channel_id=row.channel_id, local_date=row.local_date).delete()


def _versions_behind_decisions(
    *, channel_id: int, present: Mapping[datetime.date, models.MeterDay]
) -> dict[datetime.date, list[packing.Day]]:
    """Return the earlier versions of the days that hold an estimate or an edit."""
    decided = [row.local_date for row in present.values() if not packing.DECIDED.isdisjoint(bytes(row.qualities))]
    found: dict[datetime.date, list[packing.Day]] = {}
    if decided:
        rows = models.MeterDayVersion.objects.filter(channel_id=channel_id, local_date__in=decided)
        for row in rows.order_by("version"):
            found.setdefault(row.local_date, []).append(row.to_day())
    return found


def _store_periods(
    *, batch: models.ImportBatch, channel: models.Channel, values: Sequence[delivery.PeriodValue]
) -> Stored:
    present = {
        (int(row.starts_at.timestamp()), int(row.ends_at.timestamp())): row
        for row in models.PeriodReading.objects.filter(channel=channel).order_by("version")
    }
    rows: list[models.PeriodReading] = []
    added = changed = 0
    for value in values:
        row = present.get((value.starts, value.ends))
        if row is not None and (row.milli_units, row.quality) == (value.milli_units, int(value.quality)):
            continue
        added, changed = added + (row is None), changed + (row is not None)
        rows.append(
            models.PeriodReading(
                channel=channel,
                starts_at=datetime.datetime.fromtimestamp(value.starts, tz=datetime.UTC),
                ends_at=datetime.datetime.fromtimestamp(value.ends, tz=datetime.UTC),
                version=row.version + 1 if row else 1,
                milli_units=value.milli_units,
                quality=int(value.quality),
                batch=batch,
            )
        )
    models.PeriodReading.objects.bulk_create(rows, batch_size=1000)
    return Stored(added=added, changed=changed, unchanged=len(values) - added - changed)
