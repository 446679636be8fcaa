"""Packed days of thousands of channels as they are stored: what a bill run reads.

Days come joined by channel from the server, so that a month of a channel is one row here and nothing is unpacked.
"""

import collections
import dataclasses
import datetime
import itertools
import re
import zoneinfo
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from django.contrib.postgres import aggregates
from django.db import connection
from django.db import models as db_models
from django.db.models import Q

from customers import models as customers_models
from meters import models
from meters.domain import packing, units
from openvpp.core import db

_ASIDE = re.compile(b"[%s]" % re.escape(bytes(sorted(units.ESTIMATES | {units.Quality.MISSING}))))
_ZONES = datetime.timedelta(days=1)
"""No zone's midnight is farther from that of UTC."""


@dataclasses.dataclass(frozen=True, slots=True)
class CountedChannel:
    """A channel whose energy counts at a service point."""

    channel_id: int
    service_point_id: int
    flow: units.Flow
    time_zone: str


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class PackedSpan:
    """The whole local days of channels that are stored alike, without a gap.

    `counts` [channels, intervals] are the days one after the other, times `scales` [channels, days] thousandths of
    the channel's unit.
    """

    interval_seconds: int
    channel_ids: packing.Int64s
    counts: npt.NDArray[np.signedinteger[Any]]
    scales: packing.Int64s


def get_single_channels(
    *, service_point_ids: Sequence[int], zone: zoneinfo.ZoneInfo
) -> tuple[packing.Int64s, packing.Int64s]:
    """Return the channels, and their points, that alone count at one of these points and say what was delivered.

    Their days are those of `zone`.
    """
    is_plain = Q(flow=units.Flow.DELIVERED, time_zone=zone.key)
    found = _counted(service_point_ids).aggregate(
        channels=aggregates.ArrayAgg("pk"),
        points=aggregates.ArrayAgg("service_point_id"),
        are_plain=aggregates.ArrayAgg(db_models.ExpressionWrapper(is_plain, output_field=db_models.BooleanField())),
    )
    channels, points = (np.array(found[name] or [], dtype=np.int64) for name in ("channels", "points"))
    _, inverse, counts = np.unique(points, return_inverse=True, return_counts=True)
    chosen = (counts[inverse] == 1) & np.array(found["are_plain"] or [], dtype=np.bool_)
    return channels[chosen], points[chosen]


def get_counted_channels(*, service_point_ids: Sequence[int]) -> Mapping[int, list[CountedChannel]]:
    """Return the meters' channels that count at each of these points, by service point."""
    found: dict[int, list[CountedChannel]] = collections.defaultdict(list)
    rows = _counted(service_point_ids).values_list("pk", "service_point_id", "flow", "time_zone")
    for channel_id, point_id, flow, zone in rows:
        found[point_id].append(CountedChannel(channel_id, point_id, units.Flow(flow), zone))
    return found


def _counted(service_point_ids: Sequence[int]) -> "db_models.QuerySet[models.Channel]":
    return models.Channel.objects.filter(
        service_point_id__in=db.any_of(service_point_ids),
        source=models.Channel.Source.METER,
        unit=units.Unit.WATT_HOUR.value,
        is_counted=True,
    )


def get_whole_multipliers(
    *, service_point_ids: Collection[int], first: datetime.date, after: datetime.date
) -> dict[int, int | None]:
    """Return what reads of the local days `[first, after)` are multiplied by, of points where it is not 1.

    None where it is no whole number or changes on one of these days, where meters stand behind the point, whose
    energy is not its own, and where an open question forbids a bill: read those one by one.
    """
    standing = customers_models.MeterInstallation.objects.filter(
        service_point_id__in=db.any_of(service_point_ids), starts_on__lt=after
    ).exclude(ends_on__lte=first)
    multiplying = set(standing.exclude(multiplier=1).values_list("service_point_id", flat=True))
    found: dict[int, int | None] = {}
    for point in multiplying:
        rows = list(standing.filter(service_point_id=point))
        alone = rows[0]
        stays = len(rows) == 1 and alone.starts_on <= first and (alone.ends_on is None or alone.ends_on >= after)
        is_whole = alone.multiplier == alone.multiplier.to_integral_value()
        found[point] = int(alone.multiplier) if stays and is_whole else None
    behind = models.Submeter.objects.filter(parent_id__in=db.any_of(service_point_ids), starts_on__lt=after).exclude(
        ends_on__lte=first
    )
    asked = models.MeterException.objects.filter(
        service_point_id__in=db.any_of(service_point_ids),
        is_blocking=True,
        state=models.MeterException.State.OPEN,
        starts_at__lt=datetime.datetime.combine(after, datetime.time(), tzinfo=datetime.UTC) + _ZONES,
        ends_at__gt=datetime.datetime.combine(first, datetime.time(), tzinfo=datetime.UTC) - _ZONES,
    )
    return (
        found
        | dict.fromkeys(behind.values_list("parent_id", flat=True))
        | {point: None for point in asked.values_list("service_point_id", flat=True) if point is not None}
    )


def get_questioned_points(
    *, service_point_ids: Collection[int], starts_at: datetime.datetime, ends_at: datetime.datetime
) -> set[int]:
    """Return the points with an open question that forbids a bill of `[starts_at, ends_at)`."""
    rows = models.MeterException.objects.filter(
        service_point_id__in=db.any_of(service_point_ids),
        state=models.MeterException.State.OPEN,
        is_blocking=True,
        starts_at__lt=ends_at,
        ends_at__gt=starts_at,
    )
    return set(rows.values_list("service_point_id", flat=True))


def get_packed(
    *, channel_ids: Sequence[int], first: datetime.date, after: datetime.date, zone: zoneinfo.ZoneInfo
) -> Iterator[PackedSpan]:
    """Return the local days `[first, after)` of channels, those stored alike together.

    Channels that lack a day or an interval, hold an estimate, or whose days are not all of one interval from midnight
    on and of one width, are absent: read them one by one.
    """
    days = (after - first).days
    midnights = [packing.midnight(day=first + datetime.timedelta(days=day), zone=zone) for day in range(days + 1)]
    lengths = [after - before for before, after in itertools.pairwise(midnights)]
    whole, least, most = sum(lengths), min(lengths), max(lengths)
    alike: dict[tuple[int, int], list[tuple[Any, ...]]] = collections.defaultdict(list)
    for row in _read(channel_ids=channel_ids, first=first, after=after):
        _, stored, seconds, longest_seconds, is_shifted, shortest, longest, _, qualities, counts = row
        if stored != days or seconds != longest_seconds or is_shifted or _ASIDE.search(qualities):
            continue
        width, rest = divmod(len(counts) * seconds, whole)
        bounds = (width * least // seconds, width * most // seconds)
        if not (rest or least % seconds or most % seconds) and width in {2, 4, 8} and (shortest, longest) == bounds:
            alike[seconds, width].append(row)
    for (seconds, width), rows in alike.items():
        shape = (len(rows), whole // seconds)
        yield PackedSpan(
            interval_seconds=seconds,
            channel_ids=np.array([row[0] for row in rows], dtype=np.int64),
            counts=np.frombuffer(b"".join([row[9] for row in rows]), dtype=f"<i{width}").reshape(shape),
            scales=np.frombuffer(b"".join([row[7] for row in rows]), dtype=">i2")
            .astype(np.int64)
            .reshape(len(rows), days),
        )


def _read(*, channel_ids: Sequence[int], first: datetime.date, after: datetime.date) -> list[tuple[Any, ...]]:
    with db.transaction_if_not_already():
        connection.ensure_connection()
        with psycopg.Cursor(connection.connection) as cursor:
            # Days lie in the order of the key: to sort or hash tens of thousands would cost more than to read them.
            cursor.execute(_PLAN, ["off"] * 4)
            rows: list[tuple[Any, ...]] = cursor.execute(
                _READ, [db.array_of(channel_ids), first, after], binary=True, prepare=False
            ).fetchall()
            cursor.execute(_PLAN, ["on"] * 4)
    return rows


_PLAN = """
    SELECT set_config('enable_sort', %s, true), set_config('enable_hashagg', %s, true),
           set_config('enable_bitmapscan', %s, true), set_config('enable_seqscan', %s, true)
"""
_READ = """
    SELECT channel_id, count(*), min(interval_seconds), max(interval_seconds), bool_or(offset_seconds <> 0),
           min(length(counts)), max(length(counts)), string_agg(int2send(scale), ''), string_agg(qualities, ''),
           string_agg(counts, '')
    FROM (
        SELECT channel_id, local_date, interval_seconds, offset_seconds, scale, qualities, counts
        FROM meters_meterday WHERE channel_id = ANY(%s::int[]) AND local_date >= %s AND local_date < %s
        ORDER BY channel_id, local_date
    ) AS day
    GROUP BY channel_id
"""
