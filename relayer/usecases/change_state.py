"""One step of operations: their state, their history, and news of it for whoever asked for them (`tell_changes`).

A statement carries all that go the same step together. News is a row written with the step: it is heard exactly once,
whenever its taker is there to hear it, and a taker that fails holds no bundle up.
"""

import datetime
from collections.abc import Sequence
from typing import Any

from django.db import connection

from openvpp.core import db, steps
from relayer import models

_MAX_DETAIL = 500
_WRITE_DOWN = """
, told AS (
    INSERT INTO relayer_operationnews (user_operation_id, state, detail, made_at, attempts)
    SELECT hash, state, left(detail, 500), %(now)s, 0 FROM moved WHERE api_key_id IS NULL
)
INSERT INTO relayer_useroperationtransition (user_operation_id, state, detail, bundle_id, made_at)
SELECT hash, state, left(detail, 500), bundle_id, %(now)s FROM moved
RETURNING encode(user_operation_id, 'hex'), state, bundle_id, detail
"""
_MOVE = f"""
WITH moved AS (
    UPDATE relayer_useroperation SET
        state = %(state)s, bundle_id = %(bundle)s, broadcast_at = coalesce(broadcast_at, %(now)s),
        leased_by = '', leased_until = NULL
    WHERE hash = ANY(%(hashes)s)
    RETURNING hash, state, %(detail)s::text AS detail, api_key_id, bundle_id
) {_WRITE_DOWN}
"""  # noqa: S608 - no value stands in it
_SETTLE = f"""
WITH moved AS (
    UPDATE relayer_useroperation AS operation SET
        state = CASE WHEN receipt.has_succeeded THEN 'succeeded' ELSE 'failed' END,
        failure = CASE WHEN receipt.has_succeeded THEN '' ELSE receipt.reason END,
        gas_cost_wei = receipt.gas_cost_wei, settled_at = %(now)s, leased_by = '', leased_until = NULL
    FROM relayer_useroperationreceipt AS receipt
    WHERE receipt.user_operation_id = operation.hash AND operation.bundle_id = %(bundle)s
      AND operation.state = 'mined'
    RETURNING operation.hash, operation.state, receipt.reason AS detail, operation.api_key_id, operation.bundle_id
) {_WRITE_DOWN}
"""  # noqa: S608 - no value stands in it
_FAIL = f"""
WITH moved AS (
    UPDATE relayer_useroperation SET
        state = 'failed', failure = left(%(detail)s, 500), settled_at = %(now)s, bundle_id = NULL,
        leased_by = '', leased_until = NULL
    WHERE hash = %(hash)s AND state = %(state)s AND leased_by = %(leased_by)s
    RETURNING hash, state, failure AS detail, api_key_id, bundle_id
) {_WRITE_DOWN}
"""  # noqa: S608 - no value stands in it


@db.transaction_required
def settle(*, bundle_id: int, now: datetime.datetime) -> int:
    """Write the final states of a bundle's operations that stand in a block; return how many there were."""
    return _run(_SETTLE, {"bundle": bundle_id, "now": now})


@db.transaction_required
def fail(*, operation: models.UserOperation, reason: str, now: datetime.datetime) -> bool:
    """End an operation that never lands, unless it has gone on since it was read; say whether it ended."""
    asked = {
        "hash": bytes.fromhex(str(operation.hash)[2:]),
        "state": str(operation.state),
        "leased_by": operation.leased_by,
        "detail": reason,
        "now": now,
    }
    return _run(_FAIL, asked) == 1


@db.transaction_required
def move(
    *,
    operations: Sequence[models.UserOperation],
    state: models.UserOperation.State,
    bundle: models.Bundle | None,
    detail: str,
    now: datetime.datetime,
) -> None:
    """Write a state on the way for operations that go there together."""
    if not operations:
        return
    asked = {
        "hashes": [bytes.fromhex(str(operation.hash)[2:]) for operation in operations],
        "state": state.value,
        "bundle": None if bundle is None else bundle.pk,
        "detail": detail[:_MAX_DETAIL],
        "now": now,
    }
    _run(_MOVE, asked)


def _run(statement: str, asked: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        moved = cursor.fetchall()
    for hash_, state, bundle_id, detail in moved:
        steps.note(state, operation=f"0x{hash_}", bundle=bundle_id, detail=detail)
    return len(moved)
