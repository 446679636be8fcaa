"""What is asked about readings, what bills should know of it, and the rules by which it is asked."""

import datetime

import numpy as np

from meters import models
from meters.domain import units, validation
from meters.queries import reading


def get_rules(*, utility_id: int) -> validation.Rules:
    """Return how far a utility's readings may stray before somebody is asked."""
    row = models.ValidationRules.objects.filter(pk=utility_id).first()
    return row.to_rules() if row else validation.Rules()


def get_last_day(*, channel_id: int) -> datetime.date | None:
    """Return the last local day that a channel has, or None."""
    return (
        models.MeterDay.objects.filter(channel_id=channel_id)
        .order_by("-local_date")
        .values_list("local_date", flat=True)
        .first()
    )


def get_blocking_questions(
    *, service_point_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> list[models.MeterException]:
    """Return the open questions that forbid a bill of `[starts_at, ends_at)`, earliest first."""
    return list(
        models.MeterException.objects.filter(
            service_point_id=service_point_id,
            state=models.MeterException.State.OPEN,
            is_blocking=True,
            starts_at__lt=ends_at,
            ends_at__gt=starts_at,
        ).order_by("starts_at", "pk")
    )


def count_estimated(*, service_point_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime) -> int:
    """Return how many intervals of `[starts_at, ends_at)` are estimates, which a bill of them should say.

    :raises meters.queries.UnableToReadUsage: see `get_consumption`.
    """
    read = reading.get_consumption(service_point_id=service_point_id, starts_at=starts_at, ends_at=ends_at)
    return int(np.isin(read.qualities, [*units.ESTIMATES]).sum())
