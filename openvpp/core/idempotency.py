"""A request that moves money acts once, however often it is sent."""

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Q

from openvpp.core import db, errors, models

LEASE = datetime.timedelta(seconds=30)
KEEP = datetime.timedelta(hours=24)
MAX_KEY_LENGTH = 200


class UnableToRepeatRequest(errors.UnableTo):
    """The key was used with another body, or its first request is still being answered."""


class KeyReused(UnableToRepeatRequest):
    """The key was used with another body."""

    status = 422


def answer_once(
    *,
    user_id: int | None,
    application_id: int,
    key: str,
    method: str,
    path: str,
    body: Mapping[str, Any],
    now: datetime.datetime,
    act: Callable[[], tuple[int, Any]],
    resume: Callable[[], tuple[int, Any] | None] = lambda: None,
) -> tuple[int, Any]:
    """Return `act()`'s status and JSON body, or those of the first request under this key.

    `act` runs outside any transaction of ours. When it raises, the key is set free again: nothing was accepted.
    `resume` is asked first when the process that answered the first request died: it returns the answer of what
    that process had already done, or None.

    :raises UnableToRepeatRequest: `idempotency_key_reused` (422) for another body, `idempotency_key_in_use` (409)
        while the first request is under way.
    """
    fingerprint = hashlib.sha256(
        json.dumps([method, path, body], sort_keys=True, separators=(",", ":"), default=str).encode()
    ).hexdigest()
    row, is_first = _claim(user_id=user_id, application_id=application_id, key=key, fingerprint=fingerprint, now=now)
    if row.status is not None:
        return row.status, row.body
    try:
        status, answer = (None if is_first else resume()) or act()
    except BaseException:
        models.IdempotentRequest.objects.filter(pk=row.pk, status__isnull=True).delete()
        raise
    models.IdempotentRequest.objects.filter(pk=row.pk).update(status=status, body=answer, leased_until=None)
    return status, answer


def find_answer(*, user_id: int, application_id: int, key: str, now: datetime.datetime) -> Any:
    """Return the JSON body that the first request under a key was answered with; None before that, and after KEEP."""
    rows = models.IdempotentRequest.objects.filter(
        user_id=user_id, application_id=application_id, key=key, status__isnull=False, created_at__gte=now - KEEP
    )
    return rows.values_list("body", flat=True).first()


@db.transaction
def _claim(
    *, user_id: Any, application_id: int, key: str, fingerprint: str, now: datetime.datetime
) -> tuple[models.IdempotentRequest, bool]:
    """Return the request's row, and whether nobody has begun to answer it before."""
    rows = models.IdempotentRequest.objects
    made = models.IdempotentRequest(
        user_id=user_id,
        application_id=application_id,
        key=key,
        fingerprint=fingerprint,
        leased_until=now + LEASE,
        created_at=now,
    )
    rows.bulk_create([made], ignore_conflicts=True)
    row = rows.select_for_update().get(application_id=application_id, user_id=user_id, key=key)
    if row.created_at < now - KEEP:
        row.delete()
        made.save(force_insert=True)
        row = made
    if row.fingerprint != fingerprint:
        raise KeyReused(
            "This Idempotency-Key was used with another body. Send a new key for a new request.",
            code="idempotency_key_reused",
        )
    if row.pk == made.pk or row.status is not None:
        return row, row.pk == made.pk
    if (
        rows.filter(pk=row.pk)
        .filter(Q(leased_until__isnull=True) | Q(leased_until__lt=now))
        .update(leased_until=now + LEASE)
    ):
        return row, False
    raise UnableToRepeatRequest(
        "The first request with this Idempotency-Key is still being answered. Ask again in a second.",
        code="idempotency_key_in_use",
    )
