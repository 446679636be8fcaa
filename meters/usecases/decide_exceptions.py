"""People work the queue of odd readings: assign, accept, estimate or edit, each with a name and a reason.

Each change of readings is a new version of the days, in a batch that says who and why; what the meter said is kept.
"""

import datetime
import uuid
import zoneinfo
from collections.abc import Mapping, Sequence

import numpy as np

from meters import models, operations, queries
from meters.domain import estimation, packing, units, validation
from openvpp.core import db, errors, upcalls

_CONTEXT = datetime.timedelta(days=35)
_LONGEST = datetime.timedelta(days=62)
_States = models.MeterException.State


class UnableToDecide(errors.UnableTo):
    """The question is decided already, or what was asked for cannot be done; nothing was changed."""


@db.durable
def assign(*, exception_ids: Sequence[int], user_id: int | None) -> int:
    """Give open questions to a person, or to nobody; return how many were given."""
    with db.transaction():
        return models.MeterException.objects.filter(pk__in=exception_ids, state=_States.OPEN).update(
            assigned_to_id=user_id
        )


@db.durable
def accept(*, exception_id: int, user_id: int, reason: str, now: datetime.datetime) -> models.MeterException:
    """Let the readings stand as they came.

    :raises UnableToDecide: no reason, the question is not open, or it is about a register read that was refused.
    """
    with db.transaction():
        found = _open(exception_id=exception_id, reason=reason)
        if found.register_read_id is not None and found.kind != validation.Kind.REGISTER:
            raise UnableToDecide(
                "A refused read is never billed. Take a right read, and this is settled.", code="read_refused"
            )
        return _decide(found, _States.ACCEPTED, user_id=user_id, reason=reason, now=now)


@db.durable
def estimate(
    *,
    exception_id: int,
    user_id: int,
    reason: str,
    method: estimation.Method | None = None,
    now: datetime.datetime,
) -> models.MeterException:
    """Put estimates in the place of the readings, flagged by how they were made; real readings replace them later.

    :raises UnableToDecide: no reason, not open, no channel, too long, or there is nothing to estimate from.
    """
    with db.transaction():
        found = _open(exception_id=exception_id, reason=reason)
        if found.channel is None:
            raise UnableToDecide("A register read cannot be estimated.", code="no_channel")
        series = _estimate(channel=found.channel, starts_at=found.starts_at, ends_at=found.ends_at, method=method)
        _write(found.channel, series, kind=models.ImportBatch.Format.ESTIMATE, user_id=user_id, reason=reason, now=now)
        return _decide(found, _States.ESTIMATED, user_id=user_id, reason=reason, now=now)


@db.durable
def edit(
    *,
    exception_id: int,
    user_id: int,
    reason: str,
    values: Mapping[int, int],
    now: datetime.datetime,
) -> models.MeterException:
    """Put a person's values in the place of readings: epoch seconds of intervals in the span to thousandths.

    Values are reads, as the meter would have said them, not multiplied.

    :raises UnableToDecide: no reason, not open, no channel, or an interval that is not of the span or its grid.
    """
    with db.transaction():
        found = _open(exception_id=exception_id, reason=reason)
        span = (int(found.starts_at.timestamp()), int(found.ends_at.timestamp()))
        if found.channel is None or not values or not all(span[0] <= start < span[1] for start in values):
            raise UnableToDecide("Edit intervals that start in the span, and at least one.", code="wrong_intervals")
        known = _reads(found.channel, found.starts_at, found.ends_at)
        if not len(known):
            raise UnableToDecide("There is no reading near the span to take the grid from.", code="wrong_intervals")
        starts = np.array(sorted(values), dtype=np.int64)
        try:
            series = packing.Series(
                int(known.seconds[0]),
                starts,
                np.array([values[start] for start in starts.tolist()], dtype=np.int64),
                np.full(len(starts), units.Quality.EDITED, dtype=np.uint8),
            )
        except packing.Unpackable as error:
            raise UnableToDecide(str(error), code="wrong_intervals") from error
        _write(found.channel, series, kind=models.ImportBatch.Format.EDIT, user_id=user_id, reason=reason, now=now)
        return _decide(found, _States.EDITED, user_id=user_id, reason=reason, now=now)


@db.durable
def fill_gaps(*, channel_id: int, now: datetime.datetime) -> int:
    """Estimate a channel's open gaps by its utility's rules; return how many were filled.

    What nothing is known for stays a gap. A question that a rule filled is settled, not decided: nobody said why.
    """
    gaps = models.MeterException.objects.filter(
        channel_id=channel_id, kind=validation.Kind.GAP.value, state=_States.OPEN
    ).order_by("starts_at")
    filled = 0
    for gap in gaps.select_related("channel__utility"):
        assert gap.channel is not None  # noqa: S101 - it was chosen by its channel
        with db.transaction():
            locked = models.MeterException.objects.select_for_update(skip_locked=True).filter(pk=gap.pk)
            if not locked.filter(state=_States.OPEN).values_list("pk", flat=True).first():
                continue  # a person decided meanwhile, or is about to
            try:
                series = _estimate(channel=gap.channel, starts_at=gap.starts_at, ends_at=gap.ends_at, method=None)
            except UnableToDecide:
                continue
            _write(
                gap.channel,
                series,
                kind=models.ImportBatch.Format.ESTIMATE,
                user_id=None,
                reason="Gap filled by rule",
                now=now,
            )
            models.MeterException.objects.filter(pk=gap.pk).update(state=_States.SETTLED)
            filled += 1
    return filled


def _open(*, exception_id: int, reason: str) -> models.MeterException:
    if not reason.strip():
        raise UnableToDecide("Say why.", code="no_reason")
    found: models.MeterException | None = (
        models.MeterException.objects.select_for_update(of=("self",))
        .select_related("channel__utility")
        .filter(pk=exception_id)
        .first()
    )
    if found is None or found.state != _States.OPEN:
        raise UnableToDecide("The question is not open any more.", code="not_open")
    return found


def _decide(
    found: models.MeterException,
    state: models.MeterException.State,
    *,
    user_id: int,
    reason: str,
    now: datetime.datetime,
) -> models.MeterException:
    found.state, found.decided_by_id, found.reason, found.decided_at = state, user_id, reason[:500], now
    found.save(update_fields=["state", "decided_by", "reason", "decided_at"])
    return found


def _estimate(
    *,
    channel: models.Channel,
    starts_at: datetime.datetime,
    ends_at: datetime.datetime,
    method: estimation.Method | None,
) -> packing.Series:
    if ends_at - starts_at > _LONGEST:
        raise UnableToDecide(f"Estimate at most {_LONGEST.days} days at once.", code="span_too_long")
    try:
        return estimation.estimate(
            known=_reads(channel, starts_at, ends_at),
            starts=int(starts_at.timestamp()),
            ends=int(ends_at.timestamp()),
            zone=zoneinfo.ZoneInfo(channel.time_zone),
            interpolate_seconds=queries.get_rules(utility_id=channel.utility_id).interpolate_seconds,
            method=method,
        ).series
    except estimation.Inestimable as error:
        raise UnableToDecide(str(error), code="inestimable") from error


def _reads(channel: models.Channel, starts_at: datetime.datetime, ends_at: datetime.datetime) -> validation.Readings:
    """Return what the meter said around a span, not multiplied and without estimates."""
    read = queries.get_channel_reads(channel_id=channel.pk, starts_at=starts_at - _CONTEXT, ends_at=ends_at + _CONTEXT)
    real = ~np.isin(read.qualities, [*units.ESTIMATES])
    return validation.Readings(read.starts[real], read.seconds[real], read.milli_units[real])


def _write(
    channel: models.Channel,
    series: packing.Series,
    *,
    kind: models.ImportBatch.Format,
    user_id: int | None,
    reason: str,
    now: datetime.datetime,
) -> None:
    batch = models.ImportBatch.objects.create(
        utility=channel.utility,
        format=kind,
        sha256=uuid.uuid4().bytes * 2,
        target=f"channel {channel.pk}",
        imported_by_id=user_id,
        reason=reason[:500],
        imported_at=now,
        intervals=len(series),
        days_added=0,
        days_changed=0,
        days_unchanged=0,
    )
    for locked, kept in operations.locked([(channel, series)]):
        try:
            done = operations.store_days(batch=batch, channel=locked, series=(kept,), now=now)
        except operations.UnableToStoreReadings as error:
            raise UnableToDecide(error.detail, code="wrong_intervals") from error
        operations.ask(channel=locked, since=int(series.starts[0]), batch=batch, now=now)
    batch.days_added, batch.days_changed = done.added, done.changed
    batch.save(update_fields=["days_added", "days_changed"])
    if channel.service_point_id is not None:
        upcalls.call(event="meters.readings_stored", service_point_ids=[channel.service_point_id], now=now)
