"""Registers are read: what was counted since the read before becomes consumption, or a question to a person.

What a dial counted is spread over the hours between its two reads, so that it is billed like any reading, as derived;
the hours sum to it exactly. Where intervals were measured already, the dial only checks them.
"""

import dataclasses
import datetime
import hashlib
import itertools
import json
import zoneinfo
from collections.abc import Sequence

import numpy as np

from meters import models, operations, queries
from meters.domain import estimation, packing, registers, units, validation
from openvpp.core import db, errors, upcalls

MOST_READS = 1_000
_HOUR = 3600
_States = models.RegisterRead.State


class UnableToTakeRegisterReads(errors.Invalid):
    """The reads as a whole cannot be taken: there are none, or too many."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a meter's dial stood at: thousandths of Wh, not multiplied."""

    service_point: str
    serial: str
    read_at: datetime.datetime
    milli_units: int
    flow: units.Flow = units.Flow.DELIVERED
    quality: units.Quality = units.Quality.RAW


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a read, by its place from 0: an empty code is accepted, with what was counted since the last."""

    place: int
    code: str = ""
    detail: str = ""
    counted_milli_units: int | None = None


@db.durable
def take(
    *, utility_id: int, reads: Sequence[Read], now: datetime.datetime, taken_by_id: int | None = None
) -> list[Verdict]:
    """Store reads, oldest first, and return what became of each by its place; a read that is known changes nothing.

    A lower read that is no rollover, or one that is too high, is kept as refused and asked about; nothing is made of
    it, and the next read is compared with the last that was accepted. A meter's first read counts nothing.

    :raises UnableToTakeRegisterReads: see its name.
    """
    if not reads or len(reads) > MOST_READS:
        raise UnableToTakeRegisterReads(f"Send 1 to {MOST_READS} reads.", code="batch_too_large")
    text = json.dumps([dataclasses.astuple(read) for read in reads], default=str)
    verdicts: dict[int, Verdict] = {}
    with db.transaction():
        batch, _ = models.ImportBatch.objects.get_or_create(
            utility_id=utility_id,
            sha256=hashlib.sha256(text.encode()).digest(),
            target="register reads",
            defaults={
                "format": models.ImportBatch.Format.REGISTER,
                "imported_by_id": taken_by_id,
                "imported_at": now,
                "intervals": len(reads),
                "days_added": 0,
                "days_changed": 0,
                "days_unchanged": 0,
            },
        )
        for place in sorted(range(len(reads)), key=lambda place: reads[place].read_at):
            verdicts[place] = _take_one(place=place, read=reads[place], batch=batch, now=now)
    return [verdicts[place] for place in range(len(reads))]


def _take_one(*, place: int, read: Read, batch: models.ImportBatch, now: datetime.datetime) -> Verdict:
    register = (
        models.Register.objects.select_for_update(of=("self",))
        .filter(
            utility_id=batch.utility_id,
            service_point__number=read.service_point,
            serial=read.serial,
            flow=read.flow.value,
            unit=units.Unit.WATT_HOUR.value,
        )
        .first()
    )
    if register is None:
        return Verdict(place, "unknown_register", "No register of that meter stands at that service point.")
    try:
        operations.refuse_unsigned(service_point_ids=[register.service_point_id])
    except operations.UnableToBelieveReading as error:
        return Verdict(place, error.code, error.detail)
    if (settled := _settled(place=place, read=read, register=register, now=now)) is not None:
        return settled
    earlier = register.reads.filter(state=_States.ACCEPTED).order_by("-read_at").first()
    try:
        counted = _count(register=register, earlier=earlier, read=read)
    except (registers.NotARollover, registers.TooMuch) as error:
        is_lower = isinstance(error, registers.NotARollover)
        code = "lower_read" if is_lower else "read_too_high"
        kept, is_new = models.RegisterRead.objects.get_or_create(
            register=register,
            read_at=read.read_at,
            milli_units=read.milli_units,
            state=_States.REFUSED,
            defaults={"quality": int(read.quality), "code": code, "batch": batch},
        )
        if is_new:
            operations.ask_about_read(
                read=kept,
                kind=validation.Kind.LOWER_READ if is_lower else validation.Kind.HIGH,
                starts_at=earlier.read_at if earlier else read.read_at,
                facts={
                    "read_milli_units": read.milli_units,
                    "earlier_milli_units": earlier.milli_units if earlier else 0,
                    "serial": register.serial,
                },
            )
        return Verdict(place, code, str(error))
    models.RegisterRead.objects.create(
        register=register,
        read_at=read.read_at,
        milli_units=read.milli_units,
        quality=int(read.quality),
        state=_States.ACCEPTED,
        batch=batch,
    )
    operations.settle(register_id=register.pk, until=read.read_at)
    if earlier is None or counted is None:
        return Verdict(place)
    _spread(register=register, starts_at=earlier.read_at, ends_at=read.read_at, counted=counted, batch=batch, now=now)
    return Verdict(place, counted_milli_units=counted)


def _settled(*, place: int, read: Read, register: models.Register, now: datetime.datetime) -> Verdict | None:
    """Return the verdict on a read that is known already or cannot be compared with the one before it."""
    accepted = register.reads.filter(state=_States.ACCEPTED)
    known = accepted.filter(read_at=read.read_at).first()
    if known is not None:
        is_same = known.milli_units == read.milli_units
        return Verdict(place) if is_same else Verdict(place, "read_differs", "Another value was read at that instant.")
    if read.read_at.timestamp() < 0:
        return Verdict(place, "wrong_time", "The read is older than 1970.")
    if read.read_at > now + datetime.timedelta(hours=1):
        return Verdict(place, "in_the_future", "The read was made in the future; a clock is wrong.")
    if accepted.filter(read_at__gt=read.read_at).exists():
        return Verdict(place, "read_too_late", "A later read of this register was taken already.")
    return None


def _count(*, register: models.Register, earlier: models.RegisterRead | None, read: Read) -> int | None:
    if earlier is None:
        registers.count(
            earlier=read.milli_units, later=read.milli_units, dials=register.dials, seconds=0, most_a_day=None
        )
        return None
    return registers.count(
        earlier=earlier.milli_units,
        later=read.milli_units,
        dials=register.dials,
        seconds=int((read.read_at - earlier.read_at).total_seconds()),
        most_a_day=register.most_a_day_milli_units,
    ).milli_units


def _spread(
    *,
    register: models.Register,
    starts_at: datetime.datetime,
    ends_at: datetime.datetime,
    counted: int,
    batch: models.ImportBatch,
    now: datetime.datetime,
) -> None:
    """Write what was counted into the hours between two reads, or compare it with the intervals measured there."""
    channel = operations.open_channel(
        utility_id=register.utility_id,
        service_point_id=register.service_point_id,
        source=models.Channel.Source.METER,
        key="",
        flow=units.Flow(register.flow),
        unit=units.Unit(register.unit),
        time_zone=batch.utility.time_zone,
        is_counted=True,
    )
    first, last = (int(at.timestamp()) // _HOUR * _HOUR for at in (starts_at, ends_at))
    measured = _measured(channel=channel, starts_at=starts_at, ends_at=ends_at)
    if measured is not None:
        for finding in validation.compare_register(
            starts=int(starts_at.timestamp()),
            ends=int(ends_at.timestamp()),
            register_milli_units=counted,
            interval_milli_units=measured,
            rules=queries.get_rules(utility_id=register.utility_id),
        ):
            read = register.reads.get(read_at=ends_at, state=_States.ACCEPTED)
            operations.ask_about_read(read=read, kind=finding.kind, starts_at=starts_at, facts=dict(finding.facts))  # type: ignore[arg-type] # no lists here
        return
    slots = np.arange(first, max(last, first + _HOUR), _HOUR, dtype=np.int64)
    values = estimation.spread(total=counted, weights=_weights(channel, slots))
    values[0] += _counted_within(register=register, hour=first, until=starts_at)
    series = packing.Series(
        _HOUR,
        slots,
        values,
        np.full(len(slots), units.Quality.DERIVED, dtype=np.uint8),
    )
    for locked, kept in operations.locked([(channel, series)]):
        operations.store_days(batch=batch, channel=locked, series=(kept,), now=now)
        operations.ask(channel=locked, since=first, batch=batch, now=now)
    upcalls.call(event="meters.readings_stored", service_point_ids=[register.service_point_id], now=now)


def _counted_within(*, register: models.Register, hour: int, until: datetime.datetime) -> int:
    """Return what reads of one hour (epoch seconds) counted among themselves, which stands in that hour already."""
    dials = register.reads.filter(
        state=_States.ACCEPTED,
        read_at__gte=datetime.datetime.fromtimestamp(hour, tz=datetime.UTC),
        read_at__lte=until,
    ).order_by("read_at")
    steps = itertools.pairwise(dials.values_list("milli_units", flat=True))
    return sum((later - earlier) % registers.whole(dials=register.dials) for earlier, later in steps)


def _weights(channel: models.Channel, slots: packing.Int64s) -> packing.Int64s:
    """Return the utility's profile for these hours: more by day than by night, until a better one is kept."""
    zone = zoneinfo.ZoneInfo(channel.time_zone)
    hours = [datetime.datetime.fromtimestamp(slot, tz=zone).hour for slot in slots.tolist()]
    return np.array([_PROFILE[hour] for hour in hours], dtype=np.int64)


def _measured(*, channel: models.Channel, starts_at: datetime.datetime, ends_at: datetime.datetime) -> int | None:
    """Return the sum of the channel's own reads over a span that was measured in intervals, or None if it was not."""
    rows = models.MeterDay.objects.filter(
        channel__service_point_id=channel.service_point_id,
        channel__source=models.Channel.Source.METER,
        channel__flow=channel.flow,
        channel__unit=channel.unit,
        channel__is_counted=True,
        local_date__range=(starts_at.date() - datetime.timedelta(days=1), ends_at.date() + datetime.timedelta(days=1)),
    )
    total, is_measured = 0, False
    zone = zoneinfo.ZoneInfo(channel.time_zone)
    for row in rows:
        day = row.to_day()
        starts = day.starts(zone)
        real = ~np.isin(day.quality_codes(), [units.Quality.MISSING, units.Quality.DERIVED])
        chosen = real & (starts >= int(starts_at.timestamp())) & (starts < int(ends_at.timestamp()))
        is_measured = is_measured or bool(chosen.any())
        total += int(day.milli_units()[chosen].sum())
    return total if is_measured else None


_PROFILE = (6, 5, 5, 5, 5, 6, 8, 10, 10, 9, 9, 9, 9, 9, 9, 10, 11, 13, 14, 14, 13, 11, 9, 7)
"""Weights of the hours of a day, for what a dial counted: a household's evening peak."""
