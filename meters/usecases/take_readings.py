"""A head-end pushes readings: what is right is stored, and each row is told what became of it."""

import dataclasses
import datetime
import decimal
import hashlib
import json
from collections.abc import Sequence

import numpy as np
from django.db import IntegrityError

from customers import models as customers_models
from meters import models, operations, queries
from meters.domain import delivery, packing, signed_readings, units
from openvpp.core import db, errors

MOST_ROWS = 2_000
MOST_VALUES = 50_000
_AHEAD = datetime.timedelta(hours=1)
_LONGEST_SECONDS, _SHORTEST_SECONDS = 3600, 60
_MILLI_PER_UNIT = {
    "Wh": (units.Unit.WATT_HOUR, 10**3),
    "kWh": (units.Unit.WATT_HOUR, 10**6),
    "kVAh": (units.Unit.VOLT_AMPERE_HOUR, 10**6),
    "kvarh": (units.Unit.VOLT_AMPERE_REACTIVE_HOUR, 10**6),
}
UNITS = [*_MILLI_PER_UNIT, "kW"]


class UnableToTakeReadings(errors.Invalid):
    """The batch as a whole cannot be taken: it is too large or empty."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Values of intervals that follow each other from `starts_at` on; None where there is none."""

    service_point: str
    starts_at: datetime.datetime
    interval_seconds: int
    values: Sequence[decimal.Decimal | None]
    unit: str
    flow: units.Flow
    quality: units.Quality
    signature: operations.Signature | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a row, by its place from 0: an empty code is accepted."""

    place: int
    code: str = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    batch: models.ImportBatch | None
    verdicts: list[Verdict]


class _Wrong(ValueError):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@db.durable
def take(*, utility_id: int, rows: Sequence[Row], key: str, now: datetime.datetime) -> Taken:
    """Store the rows that are right and return what became of each; the same batch under its key is stored once.

    Rows of one service point, flow and unit are one channel: where they overlap each other the later row is rejected.

    :raises UnableToTakeReadings: no rows, more than `MOST_ROWS`, or more than `MOST_VALUES` values.
    """
    if not rows or len(rows) > MOST_ROWS or sum(len(row.values) for row in rows) > MOST_VALUES:
        raise UnableToTakeReadings(
            f"Send 1 to {MOST_ROWS} rows with at most {MOST_VALUES} values in all.", code="batch_too_large"
        )
    points = queries.get_service_points_of_utility(
        utility_id=utility_id, numbers=[*{row.service_point for row in rows}]
    )
    utility = customers_models.Utility.objects.get(pk=utility_id)
    believed: dict[int, operations.Believed] = {}
    wrong: dict[int, Verdict] = {}
    right: dict[tuple[str, units.Flow, units.Unit], list[tuple[int, packing.Series]]] = {}
    for place, row in enumerate(rows):
        try:
            unit, series = _read(row=row, points=points, now=now)
            kept = right.setdefault((row.service_point, row.flow, unit), [])
            _refuse_overlap(series, [other for _, other in kept])
            signed = _believe(utility=utility, row=row, service_point_id=points[row.service_point])
            if signed is not None:
                believed[place] = signed
            kept.append((place, series))
        except _Wrong as error:
            wrong[place] = Verdict(place, error.code, str(error))
    with db.transaction():
        batch = _batch(utility_id=utility_id, rows=rows, key=key, now=now) if right else None
        done = operations.Stored()
        for (point, flow, unit), kept in right.items():
            assert batch is not None  # noqa: S101 - there is something right
            channel = delivery.ChannelReadings(
                usage_point=point, key="", flow=flow, unit=unit, series=_joined([series for _, series in kept])
            )
            try:
                with db.savepoint():
                    stored = operations.store(batch=batch, channels=[channel], points={point: points[point]}, now=now)
                    for place, _ in kept:
                        if place in believed:
                            operations.keep_signature(believed=believed[place], batch=batch, now=now)
                    done += stored
            except operations.UnableToStoreReadings as error:
                wrong |= {place: Verdict(place, "contradicts_stored", error.detail) for place, _ in kept}
            except (IntegrityError, operations.UnableToBelieveReading):
                wrong |= {place: Verdict(place, "replayed", "A counter was used twice.") for place, _ in kept}
        if batch is not None and done != operations.Stored():
            batch.days_added, batch.days_changed, batch.days_unchanged = done.added, done.changed, done.unchanged
            batch.save(update_fields=["days_added", "days_changed", "days_unchanged"])
    return Taken(batch, [wrong.get(place, Verdict(place)) for place in range(len(rows))])


def _read(*, row: Row, points: dict[str, int], now: datetime.datetime) -> tuple[units.Unit, packing.Series]:
    if row.service_point not in points:
        raise _Wrong("unknown_service_point", "The utility has no such service point.")
    seconds = row.interval_seconds
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS or packing.SECONDS_PER_DAY % seconds:
        raise _Wrong("wrong_interval", "Intervals are 1 to 60 minutes long and make whole days.")
    starts = int(row.starts_at.timestamp())
    present = [place for place, value in enumerate(row.values) if value is not None]
    if not present:
        raise _Wrong("no_values", "The row has no value.")
    if starts + seconds * (present[-1] + 1) > int((now + _AHEAD).timestamp()):
        raise _Wrong("in_the_future", "The readings end in the future; a clock is wrong.")
    unit, milli = (
        (units.Unit.WATT_HOUR, decimal.Decimal(10**6 * seconds) / 3600)
        if row.unit == "kW"
        else (_MILLI_PER_UNIT[row.unit][0], decimal.Decimal(_MILLI_PER_UNIT[row.unit][1]))
    )
    values = [round(value * milli) for value in row.values if value is not None]
    if any(abs(value) > packing.MOST_MILLI_UNITS for value in values):
        raise _Wrong("wrong_value", "A value is more than a meter counts.")
    if starts < 0:
        raise _Wrong("wrong_time", "The readings are older than 1970.")
    if row.flow is not units.Flow.NET and min(values) < 0:
        raise _Wrong("negative", "Only a net channel has negative values.")
    return unit, packing.Series(
        seconds,
        starts + seconds * np.array(present, dtype=np.int64),
        np.array(values, dtype=np.int64),
        np.full(len(values), row.quality, dtype=np.uint8),
    )


def _believe(*, utility: customers_models.Utility, row: Row, service_point_id: int) -> operations.Believed | None:
    reading = signed_readings.Reading(
        utility=utility.slug,
        service_point=row.service_point,
        flow=row.flow.value,
        unit=row.unit,
        quality=row.quality.name.lower(),
        starts=int(row.starts_at.timestamp()),
        interval_seconds=row.interval_seconds,
        counter=row.signature.counter if row.signature else 0,
        values=row.values,
    )
    try:
        return operations.check_signature(
            utility=utility, service_point_id=service_point_id, reading=reading, signature=row.signature
        )
    except operations.UnableToBelieveReading as error:
        raise _Wrong(error.code, error.detail) from error


def _refuse_overlap(series: packing.Series, others: Sequence[packing.Series]) -> None:
    first, last = int(series.starts[0]), int(series.starts[-1]) + series.interval_seconds
    for other in others:
        if other.interval_seconds != series.interval_seconds:
            if int(other.starts[0]) < last and first < int(other.starts[-1]) + other.interval_seconds:
                raise _Wrong("overlap", "An earlier row of the batch has the same time in other intervals.")
        elif (
            len(np.intersect1d(other.starts, series.starts)) or (int(other.starts[0]) - first) % series.interval_seconds
        ):
            raise _Wrong("overlap", "An earlier row of the batch has the same time.")


def _joined(series: Sequence[packing.Series]) -> tuple[packing.Series, ...]:
    found: list[packing.Series] = []
    for seconds in sorted({one.interval_seconds for one in series}):
        same = [one for one in series if one.interval_seconds == seconds]
        starts = np.concatenate([one.starts for one in same])
        order = np.argsort(starts)
        found.append(
            packing.Series(
                seconds,
                starts[order],
                np.concatenate([one.milli_units for one in same])[order],
                np.concatenate([one.qualities for one in same])[order],
            )
        )
    return tuple(found)


def _batch(*, utility_id: int, rows: Sequence[Row], key: str, now: datetime.datetime) -> models.ImportBatch:
    text = json.dumps([dataclasses.astuple(row) for row in rows], default=str)
    batch, _ = models.ImportBatch.objects.get_or_create(
        utility_id=utility_id,
        sha256=hashlib.sha256(text.encode()).digest(),
        target=f"push {key}"[:500],
        defaults={
            "format": models.ImportBatch.Format.PUSH,
            "imported_at": now,
            "intervals": sum(value is not None for row in rows for value in row.values),
            "days_added": 0,
            "days_changed": 0,
            "days_unchanged": 0,
        },
    )
    return batch
