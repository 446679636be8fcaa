"""One step of an operation: its state, its history, and word of it to whoever asked for the operation."""

import datetime
import logging

from openvpp.core import db, upcalls
from relayer import models

logger = logging.getLogger(__name__)

CHANGED = "user_operation.changed"
_MAX_DETAIL = 500


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
    _remember(operation=operation, detail=detail, now=now)
    _tell(operation=operation, detail=detail, now=now)


@db.transaction_required
def move(*, operation: models.UserOperation, state: str, detail: str, now: datetime.datetime) -> None:
    """Write a state on the way. The one who asked is told; if that fails, the operation goes its way all the same."""
    operation.state = state
    operation.leased_by, operation.leased_until = "", None
    operation.save(update_fields=["state", "bundle", "broadcast_at", "leased_by", "leased_until", "gas_cost_wei"])
    _remember(operation=operation, detail=detail, now=now)
    try:
        with db.savepoint():
            _tell(operation=operation, detail=detail, now=now)
    except Exception:
        logger.exception("nobody took word of %s: %s", operation.hash, state)


def _remember(*, operation: models.UserOperation, detail: str, now: datetime.datetime) -> None:
    models.UserOperationTransition.objects.create(
        user_operation=operation, state=operation.state, detail=detail[:_MAX_DETAIL], made_at=now
    )


def _tell(*, operation: models.UserOperation, detail: str, now: datetime.datetime) -> None:
    upcalls.call(
        event=CHANGED,
        user_operation_hash=str(operation.hash),
        state=str(operation.state),
        detail=detail[:_MAX_DETAIL],
        now=now,
    )
