"""Intervals in their order: of a service point, of one channel, of a device, of many points at once."""

import dataclasses
import datetime
import itertools
import operator
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from meters import models
from meters.domain import multipliers, packing, reactive, submetering, units, unpacking, usage
from meters.queries import meters_standing
from openvpp.core import errors
from openvpp.core import period as periods

LONGEST_READ_DAYS = 1100


class UnableToReadUsage(errors.Invalid):
    """The span asked for is not one that is read at once, or its reads cannot be turned into energy."""


def get_consumption(
    *, service_point_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> usage.Consumption:
    """Return what a service point took and gave in `[starts_at, ends_at)`, interval by interval.

    Channels that count are added up on the finest common intervals; a net channel is split by its sign.
    Intervals count where they start; gaps are absent. Each interval of a channel is its read times the multiplier of
    the meter that stood there on that local day, rounded down to the thousandth of a Wh.

    Where other meters stand behind this one, it is what they leave (`meters.domain.submetering`): intervals in which
    one of them lacks a reading are gaps.

    :raises UnableToReadUsage: an end is naive, the span is too long, channels lie on grids that cannot be added, or
        meters of different multipliers stood there on one day.
    """
    span = _span(starts_at, ends_at)
    read, is_parent = _metered(service_point_id=service_point_id, span=span)
    return _left(service_point_id=service_point_id, read=read, span=span) if is_parent else read


def get_metered_consumption(
    *, service_point_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> usage.Consumption:
    """Return what the meter of a service point itself saw, with all that stands behind it; see `get_consumption`."""
    return _metered(service_point_id=service_point_id, span=_span(starts_at, ends_at))[0]


def get_reactive(*, service_point_id: int, like: usage.Consumption) -> packing.Int64s | None:
    """Return reactive energy that was taken (lagging), thousandths of a varh, for each interval of a consumption.

    It is what the counted channels in varh that are delivered or net say, added up; where a point has none of these but
    channels in VAh, it is what their apparent energy leaves beside the energy taken. None where it has neither.

    :raises UnableToReadUsage: such a channel lacks some of the intervals.
    """
    if not len(like):
        return None
    span = (int(like.starts[0]), int(like.starts[-1] + like.seconds[-1]))
    for unit in (units.Unit.VOLT_AMPERE_REACTIVE_HOUR, units.Unit.VOLT_AMPERE_HOUR):
        found = _read(
            "channel.service_point_id = %s AND channel.source = 'meter' AND channel.unit = %s AND channel.is_counted "
            "AND channel.flow <> 'received'",
            [service_point_id, unit.value],
            span,
        )
        if found:
            try:
                total = reactive.on_grid(parts=[part for *_, part in found], starts=like.starts, seconds=like.seconds)
            except packing.Unpackable as error:
                raise UnableToReadUsage(str(error), code="reactive_has_gaps") from error
            if unit is units.Unit.VOLT_AMPERE_HOUR:
                return reactive.of_apparent(apparent=total, active=like.delivered_milli_wh)
            return total
    return None


def get_channel_intervals(
    *, channel_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> usage.Intervals:
    """Return one channel's intervals in `[starts_at, ends_at)`, missing ones absent; a meter's are multiplied.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    found = _read("channel.id = %s", [channel_id], _span(starts_at, ends_at))
    return usage.join([part for *_, part in found])


def get_channel_reads(*, channel_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime) -> usage.Intervals:
    """Return what a channel's meter said in `[starts_at, ends_at)`, not multiplied; missing intervals absent.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    found = _read("channel.id = %s", [channel_id], _span(starts_at, ends_at), is_energy=False)
    return usage.join([part for *_, part in found])


def get_device_intervals(
    *, device_key: str, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> usage.Intervals:
    """Return a device's telemetry in `[starts_at, ends_at)`, missing intervals absent; empty if it never sent any.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    condition = "channel.source = 'device' AND channel.key = %s"
    found = _read(condition, [device_key], _span(starts_at, ends_at))
    return usage.join([part for *_, part in found])


def get_intervals_of_many(
    *, service_point_ids: Sequence[int], starts_at: datetime.datetime, ends_at: datetime.datetime
) -> dict[int, list[tuple[units.Flow, usage.Intervals]]]:
    """Return the energy of the counted channels of many service points in one read, by service point.

    :raises UnableToReadUsage: see `get_consumption`.
    """
    found: dict[int, list[tuple[units.Flow, usage.Intervals]]] = {}
    span = _span(starts_at, ends_at)
    parents: set[int] = set()
    for point, flow, part in _read(
        "channel.service_point_id = ANY(%s) AND channel.source = 'meter' AND channel.unit = 'Wh' "
        "AND channel.is_counted",
        [list(service_point_ids)],
        span,
        parents=parents,
    ):
        found.setdefault(point, []).append((units.Flow(flow), part))
    for point in parents:
        read = _combined(found[point])
        found[point] = _left(service_point_id=point, read=read, span=span).by_flow()
    return found


def _metered(*, service_point_id: int, span: tuple[int, int]) -> tuple[usage.Consumption, bool]:
    """Return what a point's meter saw, and whether others ever stood behind it."""
    parents: set[int] = set()
    parts = _read(
        "channel.service_point_id = %s AND channel.source = 'meter' AND channel.unit = 'Wh' AND channel.is_counted",
        [service_point_id],
        span,
        parents=parents,
        is_prepared=True,
    )
    return _combined([(units.Flow(flow), part) for _, flow, part in parts]), bool(parents)


def _left(*, service_point_id: int, read: usage.Consumption, span: tuple[int, int]) -> usage.Consumption:
    children = []
    for link in models.Submeter.objects.filter(parent_id=service_point_id).select_related("parent__premise__utility"):
        zone = zoneinfo.ZoneInfo(link.parent.premise.utility.time_zone)
        starts = max(span[0], packing.midnight(day=link.starts_on, zone=zone))
        ends = min(span[1], packing.midnight(day=link.ends_on, zone=zone)) if link.ends_on else span[1]
        if starts < ends:
            metered, _ = _metered(service_point_id=link.child_id, span=(starts, ends))
            children.append(submetering.Child(metered, starts, ends))
    try:
        return submetering.remainder(parent=read, children=children)
    except packing.Unpackable as error:
        raise UnableToReadUsage(str(error)) from error


def _combined(parts: list[tuple[units.Flow, usage.Intervals]]) -> usage.Consumption:
    try:
        return usage.combine(parts=parts)
    except packing.Unpackable as error:
        raise UnableToReadUsage(str(error)) from error


def _span(starts_at: datetime.datetime, ends_at: datetime.datetime) -> tuple[int, int]:
    try:
        span = periods.Period(starts_at, ends_at)
    except ValueError as error:
        raise UnableToReadUsage(str(error)) from error
    if span.duration > datetime.timedelta(days=LONGEST_READ_DAYS):
        raise UnableToReadUsage(f"Ask for at most {LONGEST_READ_DAYS} days at once.", code="span_too_long")
    return int(starts_at.timestamp()), int(ends_at.timestamp())


class _Row(NamedTuple):
    """A channel with its days, joined: see `unpacking.unpack`."""

    channel_id: int
    service_point_id: int
    flow: str
    time_zone: str
    is_multiplied: bool
    is_parent: bool
    heads: bytes
    qualities: bytes
    counts: bytes


def _read(
    condition: str,
    values: list[Any],
    span: tuple[int, int],
    *,
    is_energy: bool = True,
    parents: set[int] | None = None,
    is_prepared: bool = False,
) -> list[tuple[int, str, usage.Intervals]]:
    """Return (service point, flow, intervals) of each channel that the condition chooses, in one read.

    The database joins a channel's days, so that a month of a thousand meters is a thousand rows and no object is
    made for a day. Where `is_energy`, a meter's reads are multiplied. `parents` is told which points have meters behind
    them.
    """
    first = datetime.datetime.fromtimestamp(span[0], tz=datetime.UTC).date() - datetime.timedelta(days=1)
    last = datetime.datetime.fromtimestamp(span[1], tz=datetime.UTC).date() + datetime.timedelta(days=1)
    connection.ensure_connection()
    # Django's own cursors read text; bytes in binary are half as long and need no decoding. For one point the plan
    # costs thrice the run, so it is kept; for many, one for the known span leaves other months out before it starts.
    with psycopg.Cursor(connection.connection) as cursor:
        rows = [
            _Row(*row)
            for row in cursor.execute(
                _READ.format(condition=condition).encode(), [first, last, *values], binary=True, prepare=is_prepared
            ).fetchall()
            if row[-1] is not None
        ]
    if parents is not None:
        parents.update(row.service_point_id for row in rows if row.is_parent)
    points = {row.service_point_id for row in rows if row.is_multiplied and is_energy}
    meters = meters_standing.get_multiplying(service_point_ids=sorted(points), first=first, last=last) if points else {}
    found: list[tuple[int, str, usage.Intervals]] = []
    for zone_name, group in itertools.groupby(rows, key=operator.attrgetter("time_zone")):
        of_zone = list(group)
        days = unpacking.unpack(
            heads=[row.heads for row in of_zone],
            qualities=[row.qualities for row in of_zone],
            counts=[row.counts for row in of_zone],
            zone=zoneinfo.ZoneInfo(zone_name),
        )
        intervals = _multiplied(days=days, rows=of_zone, meters=meters, span=span) if meters else days.intervals
        at = 0
        for row in of_zone:
            after = at + len(row.heads) // unpacking.HEAD.itemsize
            part = usage.part_of(intervals=intervals, first=int(days.places[at]), after=int(days.places[after]))
            found.append((row.service_point_id, row.flow, usage.cut(intervals=part, span=span)))
            at = after
    return found


def _multiplied(
    *,
    days: unpacking.Unpacked,
    rows: list[_Row],
    meters: Mapping[int, list[multipliers.Meter]],
    span: tuple[int, int],
) -> usage.Intervals:
    zone = zoneinfo.ZoneInfo(rows[0].time_zone)
    first, last = (packing.local_date(instant=instant, zone=zone) for instant in (span[0], span[1] - 1))
    points = [row for row in rows for _ in range(len(row.heads) // unpacking.HEAD.itemsize)]
    try:
        factors = [
            multipliers.on_day(meters=meters.get(row.service_point_id, ()), day=day)
            if row.is_multiplied and first <= (day := days.date(place)) <= last
            else multipliers.ONE
            for place, row in enumerate(points)
        ]
        energy = multipliers.to_energy_by_day(reads=days.intervals.milli_units, places=days.places, multipliers=factors)
    except multipliers.Unmultipliable as error:
        raise UnableToReadUsage(str(error), code="unmultipliable") from error
    return dataclasses.replace(days.intervals, milli_units=energy)


_READ = """
    SELECT channel.id, channel.service_point_id, channel.flow, channel.time_zone,
           channel.source = 'meter' AND EXISTS (
               SELECT 1 FROM customers_meterinstallation AS meter
               WHERE meter.service_point_id = channel.service_point_id AND meter.multiplier <> 1
           ),
           EXISTS (SELECT 1 FROM meters_submeter AS link WHERE link.parent_id = channel.service_point_id),
           joined.heads, joined.qualities, joined.counts
    FROM meters_channel AS channel CROSS JOIN LATERAL (
        SELECT string_agg(
                   int8send(
                       ((day.local_date - DATE '2000-01-01')::int8 << 48) | (day.interval_seconds::int8 << 32)
                       | (day.offset_seconds::int8 << 16) | day.scale::int8
                   ) || int4send((length(day.qualities) << 16) | length(day.counts)),
                   ''::bytea
               ) AS heads,
               string_agg(day.qualities, ''::bytea) AS qualities,
               string_agg(day.counts, ''::bytea) AS counts
        FROM (
            SELECT * FROM meters_meterday AS stored
            WHERE stored.channel_id = channel.id AND stored.local_date BETWEEN %s AND %s
            ORDER BY stored.local_date
        ) AS day
    ) AS joined
    WHERE {condition}
    ORDER BY channel.id
"""
