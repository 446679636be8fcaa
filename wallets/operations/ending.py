"""The steps of an operation, and its end."""

import datetime
import uuid

from django.db.models import Case, F, Value, When

from openvpp.core import db, errors, fields, sql, upcalls
from wallets import models
from wallets.domain import operation_states, outcome

State = models.Operation.State
GrantState = models.SessionKeyGrant.State


class UnableToMoveOperation(errors.UnableTo):
    """An operation does not go from the state that it is in to that one."""


@db.transaction_required
def move(*, operation: models.Operation, state: State, detail: str, now: datetime.datetime) -> None:
    """Move a locked operation to another state and write it into its history.

    :raises UnableToMoveOperation: the state machine has no such step.
    """
    before = operation_states.State(operation.state)
    if not operation_states.may_go(before=before, after=operation_states.State(state)):
        raise UnableToMoveOperation(f"Operation {operation.pk} is {before} and cannot become {state}.")
    operation.state = state
    operation.leased_until = None
    operation.updated_at = now
    sql.later(
        _MOVE,
        {
            "id": operation.pk,
            "state": state,
            "failure": operation.failure,
            "user_operation": operation.user_operation_id and bytes.fromhex(operation.user_operation_id[2:]),
            "detail": detail[:500],
            "now": now,
        },
    )


_MOVE = """
    WITH told AS (
        INSERT INTO wallets_operationtransition (operation_id, state, detail, made_at)
        VALUES (%(id)s, %(state)s, %(detail)s, %(now)s)
    )
    UPDATE wallets_operation
    SET state = %(state)s, failure = %(failure)s, user_operation_id = %(user_operation)s, leased_until = NULL,
        updated_at = %(now)s
    WHERE id = %(id)s
"""


@db.transaction_required
def end(*, operation: models.Operation, result: outcome.Outcome, now: datetime.datetime) -> None:
    """Move a locked operation to its end, give back what was reserved if it failed, and tell the app that asked.

    :raises UnableToMoveOperation: it has ended before.
    """
    operation.failure = "" if result.succeeded else result.reason[:500]
    state = State.SUCCEEDED if result.succeeded else State.FAILED
    move(operation=operation, state=state, detail=operation.failure, now=now)
    _settle_wallet(operation=operation, was_included=result.receipt is not None, now=now)
    if not result.succeeded and operation.grant_id is not None:
        _give_back(operation=operation, grant_id=operation.grant_id)
    upcalls.call(event=f"operation.{operation.kind}", outcome=result, now=now)


def _settle_wallet(*, operation: models.Operation, was_included: bool, now: datetime.datetime) -> None:
    # An account is deployed and a session installed before the call is made, so that both stay when the call fails.
    after = GrantState.ACTIVE if was_included else GrantState.PENDING
    move_grant(operation=operation, before=GrantState.INSTALLING, after=after)
    if was_included:
        models.Wallet.objects.filter(pk=operation.wallet_id, deployed_at__isnull=True).update(deployed_at=now)


def move_grant(*, operation: models.Operation, before: GrantState, after: GrantState) -> None:
    """Move the operation's grant on, if it has one that is where it should be."""
    if operation.grant_id is not None:
        sql.later(
            "UPDATE wallets_sessionkeygrant SET state = %s WHERE id = %s AND state = %s",
            [after, operation.grant_id, before],
        )


def _give_back(*, operation: models.Operation, grant_id: uuid.UUID) -> None:
    spend = units_of(operation.spend_units)
    given = models.SessionKeyGrant.objects.filter(pk=grant_id, reserved_total_units__gte=operation.spend_units).update(
        reserved_total_units=F("reserved_total_units") - spend,
        reserved_in_period_units=Case(
            When(
                period_started_at=operation.spend_period_started_at,
                then=F("reserved_in_period_units") - spend,
            ),
            default=F("reserved_in_period_units"),
            output_field=fields.Uint256Field(),
        ),
    )
    if given != 1:
        raise UnableToMoveOperation(f"Operation {operation.pk} gives back more than its grant had reserved.")


def units_of(units: int) -> Value:
    """Return units as the database compares them."""
    return Value(units, output_field=fields.Uint256Field())
