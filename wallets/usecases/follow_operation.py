"""What became of an operation on the chain, told by the relayer step by step."""

import datetime

from openvpp.core import db, errors
from relayer import queries as relayer_queries
from relayer.domain import receipts
from wallets import models, operations
from wallets.domain import operation_states


class UnableToFollowOperation(errors.UnableTo):
    """The relayer says a state that is not known here."""


@db.transaction_required
def follow(*, user_operation_hash: str, state: str, detail: str, now: datetime.datetime) -> None:
    """Write one step of an operation; at its end settle the reservation and tell the app that asked for it.

    User operations that come from outside and belong to no operation of ours are left alone.

    :raises UnableToFollowOperation: an unknown state.
    :raises operations.UnableToMoveOperation: the operation has ended before.
    """
    if state not in operation_states.OF_USER_OPERATION:
        raise UnableToFollowOperation(f"A user operation cannot be {state}.")
    operation = (
        models.Operation.objects.select_for_update(of=("self",))
        .select_related("wallet")
        .filter(user_operation_id=user_operation_hash)
        .first()
    )
    if operation is None:
        return
    after = operation_states.OF_USER_OPERATION[state]
    if after not in operation_states.FINAL:
        operations.move(operation=operation, state=models.Operation.State(after), detail=detail, now=now)
        return
    succeeded = after is operation_states.State.SUCCEEDED
    operations.end(
        operation=operation,
        result=operation.ended(
            succeeded=succeeded,
            reason="" if succeeded else detail or "The chain refused it.",
            receipt=_get_receipt(user_operation_hash),
        ),
        now=now,
    )


def _get_receipt(user_operation_hash: str) -> receipts.Receipt | None:
    try:
        return relayer_queries.get_receipt(user_operation_hash=user_operation_hash)
    except relayer_queries.UnableToFindReceipt:
        return None
