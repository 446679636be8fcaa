"""What validation finds becomes questions in the work queue, and is settled when the readings no longer show it."""

import datetime
from collections.abc import Sequence

from meters import models, queries
from meters.domain import units, validation
from openvpp.core import db

_CONTEXT = datetime.timedelta(days=35)
_ENERGY = units.Unit.WATT_HOUR.value


@db.transaction_required
def ask(
    *,
    channel: models.Channel,
    since: int,
    batch: models.ImportBatch | None,
    conflicts: Sequence[tuple[int, int]] = (),
    now: datetime.datetime,
) -> int:
    """Check a meter channel's readings from `since` (epoch seconds) on; return how many questions are open there.

    `conflicts` are intervals that one delivery brought with two values. A question that was decided stays decided.
    Readings that cannot be turned into energy are left to whoever bills them.
    """
    if channel.unit != _ENERGY or channel.source != models.Channel.Source.METER:
        return 0
    starts_at = datetime.datetime.fromtimestamp(since, tz=datetime.UTC)
    days = queries.get_last_day(channel_id=channel.pk)
    if days is None:
        return 0
    ends_at = min(
        datetime.datetime.combine(days, datetime.time(), tzinfo=datetime.UTC) + datetime.timedelta(days=3),
        starts_at + datetime.timedelta(days=queries.LONGEST_READ_DAYS) - _CONTEXT,
    )
    try:
        read = queries.get_channel_intervals(channel_id=channel.pk, starts_at=starts_at - _CONTEXT, ends_at=ends_at)
    except queries.UnableToReadUsage:
        return 0
    findings = validation.check(
        readings=validation.Readings(read.starts, read.seconds, read.milli_units),
        since=since,
        flow=units.Flow(channel.flow),
        now=int(now.timestamp()),
        rules=queries.get_rules(utility_id=channel.utility_id),
    )
    doubles = [
        validation.Finding(validation.Kind.DUPLICATE, start, end, {"times": 2})
        for start, end in conflicts[: validation.MOST_FINDINGS]
    ]
    return _keep(channel=channel, findings=[*findings, *doubles], since=starts_at, batch=batch, now=now)


@db.transaction_required
def ask_about_read(
    *, read: models.RegisterRead, kind: validation.Kind, starts_at: datetime.datetime, facts: dict[str, int | str]
) -> None:
    """Ask about a register read, which nothing was made of."""
    models.MeterException.objects.get_or_create(
        service_point_id=read.register.service_point_id,
        channel=None,
        register_read=read,
        kind=kind.value,
        starts_at=starts_at,
        ends_at=read.read_at,
        defaults={
            "utility_id": read.register.utility_id,
            "is_blocking": kind in validation.BLOCKING,
            "facts": facts,
            "batch": read.batch,
            "found_at": read.batch.imported_at,
        },
    )


@db.transaction_required
def settle(*, register_id: int, until: datetime.datetime) -> None:
    """Close the questions about a register's reads up to an instant: a later read answered them."""
    models.MeterException.objects.filter(
        register_read__register_id=register_id, ends_at__lte=until, state=models.MeterException.State.OPEN
    ).update(state=models.MeterException.State.SETTLED)


def _keep(
    *,
    channel: models.Channel,
    findings: Sequence[validation.Finding],
    since: datetime.datetime,
    batch: models.ImportBatch | None,
    now: datetime.datetime,
) -> int:
    states = models.MeterException.State
    rows = models.MeterException.objects.filter(channel=channel, register_read=None)
    known = {(row.kind, row.starts_at, row.ends_at): row for row in rows.filter(ends_at__gte=since)}
    found = {
        (
            one.kind.value,
            datetime.datetime.fromtimestamp(one.starts, tz=datetime.UTC),
            datetime.datetime.fromtimestamp(one.ends, tz=datetime.UTC),
        ): one
        for one in findings
    }
    gone = [
        row.pk
        for key, row in known.items()
        if key not in found and row.state == states.OPEN and row.starts_at >= since and row.kind != "duplicate"
    ]
    back = [row.pk for key, row in known.items() if key in found and row.state == states.SETTLED]
    if gone:
        rows.filter(pk__in=gone).update(state=states.SETTLED)
    if back:
        rows.filter(pk__in=back).update(state=states.OPEN)
    models.MeterException.objects.bulk_create(
        models.MeterException(
            utility_id=channel.utility_id,
            service_point_id=channel.service_point_id,
            channel=channel,
            kind=kind,
            is_blocking=one.kind in validation.BLOCKING,
            starts_at=starts_at,
            ends_at=ends_at,
            facts=dict(one.facts),
            batch=batch,
            found_at=now,
        )
        for (kind, starts_at, ends_at), one in found.items()
        if (kind, starts_at, ends_at) not in known
    )
    return rows.filter(state=states.OPEN, ends_at__gte=since).count()
