"""Staff end an operation that nobody else can have seen; one that was broadcast is ended by the chain alone."""

import datetime

from customers import models as customer_models
from openvpp.core import db, errors
from relayer import models
from relayer.usecases import change_state

_State = models.UserOperation.State


class UnableToDrop(errors.UnableTo):
    """The operation may still land, or has."""

    status = 409


def check(*, operation: models.UserOperation, now: datetime.datetime) -> None:
    """Say why an operation cannot be dropped.

    :raises UnableToDrop: `over`, `broadcast` or `being_sent`.
    """
    if operation.state in {_State.SUCCEEDED, _State.FAILED}:
        raise UnableToDrop("The operation is over.", code="over")
    if operation.broadcast_at is not None:
        raise UnableToDrop(
            "The operation was broadcast. Whoever saw it may still bring it to the chain, so it ends only when the "
            "chain takes it, its nonce is used, or it expires "
            f"({operation.expires_at:%Y-%m-%d %H:%M:%S} UTC) with as many blocks on top as finality asks for.",
            code="broadcast",
        )
    if operation.state != _State.QUEUED or (operation.leased_by and (operation.leased_until or now) > now):
        raise UnableToDrop("A relay is sending the operation just now. Look again in a moment.", code="being_sent")


@db.transaction
def drop(*, user_operation_hash: str, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    """Fail a queued operation with the reason; whoever asked for it is told like of any other failure.

    :raises UnableToDrop: see `check`; nothing has changed.
    """
    row = models.UserOperation.objects.select_for_update().get(hash=user_operation_hash)
    check(operation=row, now=now)
    if not change_state.fail(operation=row, reason=f"Dropped by the utility's staff: {reason}", now=now):
        raise UnableToDrop("The operation has gone on since.", code="being_sent")
    models.StaffAction.objects.create(
        kind=models.StaffAction.Kind.DROP,
        utility_id=row.utility_id,
        user_operation=row,
        made_by=by,
        reason=reason,
        made_at=now,
    )
