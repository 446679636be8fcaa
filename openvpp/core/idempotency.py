"""A request that moves money acts once, however often it is sent."""

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Q
from psycopg.types import json as json_types

from openvpp.core import db, errors, models, sql

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
    resume: Callable[[], tuple[int, Any] | None] | None = None,
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
        status, answer = (None if is_first or resume is None else resume()) or act()
    except BaseException:
        models.IdempotentRequest.objects.filter(pk=row.pk, status__isnull=True).delete()
        raise
    sql.execute(
        "UPDATE core_idempotentrequest SET status = %s, body = %s, leased_until = NULL WHERE id = %s",
        [status, json_types.Jsonb(answer), row.pk],
        may_lag=resume is not None,  # it finds what was done when this is lost
    )
    return status, answer


def find_answer(*, user_id: int, application_id: int, key: str, now: datetime.datetime) -> Any:
    """Return the JSON body that the first request under a key was answered with; None before that, and after KEEP."""
    rows = models.IdempotentRequest.objects.filter(
        user_id=user_id, application_id=application_id, key=key, status__isnull=False, created_at__gte=now - KEEP
    )
    return rows.values_list("body", flat=True).first()


def is_answered_with(*, user_id: int, application_id: int, member: str, value: str) -> bool:
    """Say whether some request of theirs was answered with a JSON body that has this member."""
    rows = models.IdempotentRequest.objects.filter(user_id=user_id, application_id=application_id)
    return rows.filter(body__contains={member: value}).exists()


def _claim(
    *, user_id: Any, application_id: int, key: str, fingerprint: str, now: datetime.datetime
) -> tuple[models.IdempotentRequest, bool]:
    """Return the request's row, and whether nobody has begun to answer it before."""
    made = models.IdempotentRequest(
        user_id=user_id,
        application_id=application_id,
        key=key,
        fingerprint=fingerprint,
        leased_until=now + LEASE,
        created_at=now,
    )
    # What is done under the key is committed later, so that it is never kept without the key.
    return (made, True) if sql.insert_if_new(made, may_lag=True) else _claim_again(made=made, now=now)


@db.transaction
def _claim_again(*, made: models.IdempotentRequest, now: datetime.datetime) -> tuple[models.IdempotentRequest, bool]:
    rows = models.IdempotentRequest.objects
    named = {"application_id": made.application_id, "user_id": made.user_id, "key": made.key}
    sql.insert_if_new(made)  # whoever had the key may have given it back just now
    row = rows.select_for_update().get(**named)
    if row.created_at < now - KEEP:
        row.delete()
        made.save(force_insert=True)
        row = made
    if row.fingerprint != made.fingerprint:
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
