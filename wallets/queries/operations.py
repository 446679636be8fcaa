"""Reading what wallets did and are about to do."""

import datetime
import uuid
from typing import Any

from django.db import models as db_models

from customers import models as customer_models
from openvpp.core import errors
from wallets import models
from wallets.domain import client_keys, prepared


def get_activity(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return the operations of a person's own wallets."""
    return (
        models.Operation.objects.for_customer(user)
        .select_related("wallet__utility", "user_operation__bundle", "grant", "signature_request")
        .prefetch_related("history")
    )


class UnableToFindOperation(errors.NotFound):
    """There is no such operation, or it is not this person's."""


def get_operation(*, user: customer_models.User, operation_id: uuid.UUID) -> models.Operation:
    """Return one of a person's own operations, with its history.

    :raises UnableToFindOperation: none that they may know of.
    """
    operation: models.Operation | None = get_activity(user=user).filter(pk=operation_id).first()
    if operation is None:
        raise UnableToFindOperation("There is no such operation.", code="not_found")
    return operation


def get_operations_of(*, wallet: models.Wallet, most: int) -> "db_models.QuerySet[Any]":
    """Return a wallet's latest operations, newest first."""
    return wallet.operations.select_related("user_operation__bundle").order_by("-created_at", "-pk")[:most]


def get_unsigned_operations(*, now: datetime.datetime, most: int) -> list[uuid.UUID]:
    """Return operations that no phone will sign any more: the time is over, or the permission."""
    rows = models.Operation.objects.filter(state=models.Operation.State.AWAITING_SIGNATURE).filter(
        db_models.Q(signature_request__sign_by__lte=now)
        | ~db_models.Q(grant__state__in=models.SessionKeyGrant.LIVE_STATES)
    )
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:most])


def get_waiting_operations(*, now: datetime.datetime, most: int) -> list[uuid.UUID]:
    """Return operations that were reserved and are not sent, nobody being at it, oldest first; not the removals."""
    rows = models.Operation.objects.filter(state=models.Operation.State.RESERVED).filter(
        db_models.Q(leased_until__isnull=True) | db_models.Q(leased_until__lt=now)
    )
    rows = rows.exclude(kind=models.Operation.Kind.REVOKE_SESSION)
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:most])


def get_waiting_removals(*, most: int) -> list[uuid.UUID]:
    """Return the removals of sessions that were reserved and are not sent, whoever may be at it, oldest first."""
    rows = models.Operation.objects.filter(
        state=models.Operation.State.RESERVED, kind=models.Operation.Kind.REVOKE_SESSION
    )
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:most])


def lock_operation(*, operation_id: uuid.UUID) -> models.Operation:
    """Lock an operation until the open transaction ends.

    :raises models.Operation.DoesNotExist: there is none.
    """
    operation: models.Operation = (
        models.Operation.objects.select_for_update(of=("self",))
        .select_related("wallet__owner_key", "quote", "grant__key")
        .get(pk=operation_id)
    )
    return operation


def get_signature_request(*, operation: models.Operation) -> dict[str, Any] | None:
    """Return what the customer's phone is to sign while the operation waits for that, else None.

    `hash` and `operation` are hexadecimal text as `wallets.domain.prepared` shows them, `sign_by` is RFC 3339.
    """
    if operation.state != models.Operation.State.AWAITING_SIGNATURE:
        return None
    grant = operation.grant
    if grant is None or grant.client_key is None:
        return None
    request = operation.signature_request
    return {
        "hash": str(request.user_operation_hash),
        "algorithm": client_keys.algorithm_of(grant.client_key),
        "chain_id": operation.wallet.chain_id,
        "operation": prepared.shown(prepared.from_json(request.user_operation)),
        "sign_by": request.sign_by.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z"),
    }
