"""A file of readings comes in: read, checked, and stored whole or not at all."""

import datetime
import hashlib
import io
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from customers import models as customers_models
from meters import models, operations, queries
from meters.adapters import green_button, nem
from meters.domain import delivery
from openvpp.core import db, errors

_LONGEST_TARGET = 400


class UnableToIngestReadings(errors.Invalid):
    """The readings cannot be stored; the detail says why, and nothing was written."""


@db.durable
def ingest_green_button(
    *,
    stream: BinaryIO,
    utility_id: int,
    service_point_id: int | None = None,
    points: Mapping[str, int] | None = None,
    file_name: str = "",
    imported_by_id: int | None = None,
    now: datetime.datetime,
) -> models.ImportBatch:
    """Store a Green Button file's electricity readings and return its batch.

    `points` says which service point each of the file's usage points is, by the whole address of the usage point
    or its last part; a file with one usage point takes `service_point_id`. With neither, the last parts are
    looked up among the utility's service point numbers. The same file for the same points again returns the
    first batch and changes nothing.

    :raises meters.adapters.espi.UnableToReadGreenButton: the file is none; see there.
    :raises UnableToIngestReadings: no readings, a usage point without a service point, or one of another utility.
    :raises meters.operations.UnableToStoreReadings: the readings contradict what is stored.
    """
    content = stream.read(green_button.MAX_BYTES + 1)
    delivered = green_button.read(stream=io.BytesIO(content))
    return ingest(
        delivered=delivered,
        sha256=hashlib.sha256(content).digest(),
        source=models.ImportBatch.Format.GREEN_BUTTON,
        utility_id=utility_id,
        points=match_points(
            usage_points=delivered.usage_points,
            utility_id=utility_id,
            service_point_id=service_point_id,
            points=points or {},
        ),
        file_name=file_name,
        imported_by_id=imported_by_id,
        now=now,
    )


@db.durable
def ingest_nem(
    *,
    stream: BinaryIO,
    utility_id: int,
    service_point_id: int | None = None,
    points: Mapping[str, int] | None = None,
    file_name: str = "",
    imported_by_id: int | None = None,
    now: datetime.datetime,
) -> models.ImportBatch:
    """Store a NEM12 or NEM13 file's readings and return its batch; usage points are NMIs, see `ingest_green_button`.

    :raises meters.adapters.nem.UnableToReadNem: the file is none; see there.
    :raises UnableToIngestReadings: see `ingest_green_button`.
    :raises meters.operations.UnableToStoreReadings: the readings contradict what is stored.
    """
    content = stream.read(nem.MAX_BYTES + 1)
    delivered = nem.read(content=content)
    return ingest(
        delivered=delivered,
        sha256=hashlib.sha256(content).digest(),
        source=models.ImportBatch.Format.NEM,
        utility_id=utility_id,
        points=match_points(
            usage_points=delivered.usage_points,
            utility_id=utility_id,
            service_point_id=service_point_id,
            points=points or {},
        ),
        file_name=file_name,
        imported_by_id=imported_by_id,
        now=now,
    )


@db.durable
def ingest(
    *,
    delivered: delivery.Delivery,
    sha256: bytes,
    source: models.ImportBatch.Format,
    utility_id: int,
    points: Mapping[str, int],
    file_name: str = "",
    imported_by_id: int | None = None,
    now: datetime.datetime,
) -> models.ImportBatch:
    """Store what any adapter read, in one transaction, and return its batch; see `ingest_green_button`.

    :raises UnableToIngestReadings: nothing to store, or a service point of another utility.
    :raises meters.operations.UnableToStoreReadings: the readings contradict what is stored.
    :raises meters.operations.UnableToBelieveReading: a device of these points has to sign its readings.
    """
    if not delivered.intervals:
        raise UnableToIngestReadings(
            "; ".join(["The file holds no electricity readings.", *delivered.warnings]), code="no_readings"
        )
    target = target_of(points=[points[name] for name in delivered.usage_points])
    with db.transaction():
        utility = customers_models.Utility.objects.select_for_update(no_key=True).get(pk=utility_id)
        known: models.ImportBatch | None = models.ImportBatch.objects.filter(
            utility_id=utility_id, sha256=sha256, target=target
        ).first()
        if known is not None:
            return known
        _check_points(points=points, utility_id=utility_id)
        operations.refuse_unsigned(service_point_ids=set(points.values()))
        first, last = extent(delivered)
        batch = models.ImportBatch.objects.create(
            utility=utility,
            format=source,
            file_name=file_name[:255],
            sha256=sha256,
            target=target,
            imported_by_id=imported_by_id,
            imported_at=now,
            intervals=delivered.intervals,
            days_added=0,
            days_changed=0,
            days_unchanged=0,
            first_starts_at=first,
            last_ends_at=last,
            warnings=[*delivered.warnings, *zone_warnings(delivered=delivered, time_zone=utility.time_zone, at=first)],
        )
        stored = operations.store(batch=batch, channels=delivered.channels, points=points, now=now)
        batch.days_added, batch.days_changed, batch.days_unchanged = stored.added, stored.changed, stored.unchanged
        batch.save(update_fields=["days_added", "days_changed", "days_unchanged"])
    return batch


def target_of(*, points: Sequence[int]) -> str:
    """Return what names the service points of a delivery, however many there are."""
    named = ",".join(str(point) for point in dict.fromkeys(points))
    if len(named) <= _LONGEST_TARGET:
        return named
    return f"{len(points)} service points, {hashlib.sha256(named.encode()).hexdigest()}"


def match_points(
    *,
    usage_points: tuple[str, ...],
    utility_id: int,
    service_point_id: int | None,
    points: Mapping[str, int],
) -> dict[str, int]:
    """Return the service point of each usage point; see `ingest_green_button`.

    :raises UnableToIngestReadings: there is none for one of them.
    """
    if service_point_id is not None:
        if len(usage_points) > 1:
            raise UnableToIngestReadings(
                f"The file holds {len(usage_points)} usage points ({', '.join(usage_points)}); say which service "
                "point each one is.",
                code="several_usage_points",
            )
        return dict.fromkeys(usage_points, service_point_id)
    short = {name: name.rpartition("/")[2] for name in usage_points}
    known = {} if points else queries.get_service_points_of_utility(utility_id=utility_id, numbers=[*short.values()])
    matched: dict[str, int] = {}
    for name, last in short.items():
        found = points.get(name, points.get(last, known.get(last)))
        if found is None:
            raise UnableToIngestReadings(
                f"No service point is named for the usage point {name or '(unnamed)'}.", code="unknown_usage_point"
            )
        matched[name] = found
    return matched


def _check_points(*, points: Mapping[str, int], utility_id: int) -> None:
    wanted = set(points.values())
    found = customers_models.ServicePoint.objects.of_utility(utility_id).filter(pk__in=wanted).count()
    if found != len(wanted):
        raise UnableToIngestReadings("A service point is not this utility's.", code="unknown_service_point")


def extent(delivered: delivery.Delivery) -> tuple[datetime.datetime, datetime.datetime]:
    """Return when the first reading starts and the last one ends."""
    first = min(
        [int(s.starts[0]) for c in delivered.channels for s in c.series if len(s)]
        + [p.starts for c in delivered.channels for p in c.periods]
    )
    last = max(
        [int(s.starts[-1]) + s.interval_seconds for c in delivered.channels for s in c.series if len(s)]
        + [p.ends for c in delivered.channels for p in c.periods]
    )
    return (
        datetime.datetime.fromtimestamp(first, tz=datetime.UTC),
        datetime.datetime.fromtimestamp(last, tz=datetime.UTC),
    )


def zone_warnings(*, delivered: delivery.Delivery, time_zone: str, at: datetime.datetime) -> list[str]:
    """Return what is odd about the file's own local time beside the utility's."""
    if delivered.standard_offset_seconds is None:
        return []
    local = at.astimezone(zoneinfo.ZoneInfo(time_zone))
    standard = (local.utcoffset() or datetime.timedelta()) - (local.dst() or datetime.timedelta())
    stated = datetime.timedelta(seconds=delivered.standard_offset_seconds)
    if standard == stated:
        return []
    return [
        (
            f"The file's local time is {stated / datetime.timedelta(hours=1):+g} h from UTC, the utility's "
            f"({time_zone}) {standard / datetime.timedelta(hours=1):+g} h; days are the utility's."
        )
    ]
