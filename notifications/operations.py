"""Telling people things: once, in order, and never lost."""

import datetime
import functools
from collections.abc import Collection, Mapping
from typing import Any

from customers import models as customer_models
from notifications import models
from notifications.adapters import hints
from openvpp.core import db, errors


@db.transaction_required
def tell(
    *,
    user_ids: Collection[int],
    utility_id: int,
    kind: models.Notice.Kind,
    key: str,
    title: str,
    body: str,
    data: Mapping[str, Any],
    now: datetime.datetime,
) -> None:
    """Write one notice for each person; a person already told under `key` is not told again.

    Each person's `sequence` goes on by one without gaps: their counter stays locked until the open transaction ends.
    People are locked in the order of their ids. After the commit their sockets are nudged.
    """
    if not user_ids:
        return
    wanted = sorted(set(user_ids))
    models.NoticeCounter.objects.bulk_create(
        [models.NoticeCounter(user_id=user_id) for user_id in wanted], ignore_conflicts=True
    )
    counters = list(models.NoticeCounter.objects.filter(user_id__in=wanted).select_for_update().order_by("user_id"))
    told = set(models.Notice.objects.filter(user_id__in=wanted, key=key).values_list("user_id", flat=True))
    fresh = [counter for counter in counters if counter.user_id not in told]
    if not fresh:
        return
    for counter in fresh:
        counter.last_sequence += 1
    models.NoticeCounter.objects.bulk_update(fresh, ["last_sequence"])
    models.Notice.objects.bulk_create(
        models.Notice(
            user_id=counter.user_id,
            utility_id=utility_id,
            sequence=counter.last_sequence,
            kind=kind,
            key=key,
            title=title,
            body=body,
            data=dict(data),
            created_at=now,
        )
        for counter in fresh
    )
    db.run_after_commit(functools.partial(hints.send, user_ids=[counter.user_id for counter in fresh]))


class UnableToMarkRead(errors.NotFound):
    """This person has no notice of that number."""


@db.transaction
def mark_read(*, user: customer_models.User, sequence: int, now: datetime.datetime) -> models.Notice:
    """Note when a person first read a notice.

    :raises UnableToMarkRead: there is no such notice of theirs.
    """
    notice: models.Notice | None = (
        models.Notice.objects.for_customer(user).filter(sequence=sequence).select_for_update().first()
    )
    if notice is None:
        raise UnableToMarkRead(f"There is no notice {sequence}.", code="not_found")
    if notice.read_at is None:
        notice.read_at = now
        notice.save(update_fields=["read_at"])
    return notice
