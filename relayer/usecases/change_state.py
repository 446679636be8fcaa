"""One step of an operation: its state, its history, and word of it to whoever asked for the operation."""

import datetime
import logging
from collections.abc import Sequence

from django.db import connection
from django.db.models import functions

from openvpp.core import db, upcalls
from relayer import models

logger = logging.getLogger(__name__)

CHANGED = "user_operation.changed"
_MAX_DETAIL = 500
_SETTLE = """
WITH settled AS (
    UPDATE relayer_useroperation AS operation SET
        state = CASE WHEN receipt.has_succeeded THEN 'succeeded' ELSE 'failed' END,
        failure = CASE WHEN receipt.has_succeeded THEN '' ELSE receipt.reason END,
        gas_cost_wei = receipt.gas_cost_wei, settled_at = %(now)s, leased_by = '', leased_until = NULL
    FROM relayer_useroperationreceipt AS receipt
    WHERE receipt.user_operation_id = operation.hash AND operation.bundle_id = %(bundle)s
      AND operation.state = 'mined' AND operation.api_key_id IS NOT NULL
    RETURNING operation.hash, operation.state, receipt.reason
)
INSERT INTO relayer_useroperationtransition (user_operation_id, state, detail, made_at)
SELECT hash, state, reason, %(now)s FROM settled
"""


@db.transaction_required
def settle(*, operation: models.UserOperation, state: str, detail: str, now: datetime.datetime) -> None:
    """Write a final state; whatever the one who asked does with it stands or falls with this transaction."""
    operation.state = state
    operation.failure = detail[:_MAX_DETAIL] if state == models.UserOperation.State.FAILED else ""
    operation.settled_at = now
    operation.leased_by, operation.leased_until = "", None
    operation.save(
        update_fields=["state", "failure", "settled_at", "leased_by", "leased_until", "gas_cost_wei", "bundle"]
    )
    _transition(operation=operation, detail=detail, now=now).save()
    if operation.api_key_id is None:
        _tell(operation=operation, detail=detail, now=now)


@db.transaction_required
def settle_together(*, bundle_id: int, now: datetime.datetime) -> int:
    """Write the final states of a bundle's operations that came in from outside, in one statement; return how many.

    Their applications ask for the receipt; nobody here waits for word of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, {"bundle": bundle_id, "now": now})
        return int(cursor.rowcount)


@db.transaction_required
def move(
    *,
    operations: Sequence[models.UserOperation],
    state: models.UserOperation.State,
    bundle: models.Bundle | None,
    detail: str,
    now: datetime.datetime,
) -> None:
    """Write a state on the way for operations that go there together.

    The ones who asked are told; if that fails for an operation, it goes its way all the same.
    """
    if not operations:
        return
    for operation in operations:
        operation.state = state
    models.UserOperation.objects.filter(hash__in=[operation.hash for operation in operations]).update(
        state=state,
        bundle=bundle,
        broadcast_at=functions.Coalesce("broadcast_at", now),
        leased_by="",
        leased_until=None,
    )
    models.UserOperationTransition.objects.bulk_create(
        _transition(operation=each, detail=detail, now=now) for each in operations
    )
    ours = [operation for operation in operations if operation.api_key_id is None]
    if not ours:
        return
    try:
        with db.savepoint():
            for operation in ours:
                _tell(operation=operation, detail=detail, now=now)
    except Exception:
        logger.exception("not everybody took word of %s operations: %s; each is told alone", len(ours), state)
        for operation in ours:
            _tell_alone(operation=operation, detail=detail, now=now)


def _transition(
    *, operation: models.UserOperation, detail: str, now: datetime.datetime
) -> models.UserOperationTransition:
    return models.UserOperationTransition(
        user_operation=operation, state=operation.state, detail=detail[:_MAX_DETAIL], made_at=now
    )


def _tell_alone(*, operation: models.UserOperation, detail: str, now: datetime.datetime) -> None:
    try:
        with db.savepoint():
            _tell(operation=operation, detail=detail, now=now)
    except Exception:
        logger.exception("nobody took word of %s: %s", operation.hash, operation.state)


def _tell(*, operation: models.UserOperation, detail: str, now: datetime.datetime) -> None:
    upcalls.call(
        event=CHANGED,
        user_operation_hash=str(operation.hash),
        state=str(operation.state),
        detail=detail[:_MAX_DETAIL],
        now=now,
    )
