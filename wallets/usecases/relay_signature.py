"""A phone that keeps its own key signs an operation: the signature is checked, and the operation goes its way.

Nothing of the operation is the phone's to choose: what was prepared, and sponsored, is what is signed. A second
signature of the same operation is the same wish. What is not signed in time ends, and gives back what it had reserved.
"""

import dataclasses
import datetime
import logging
import uuid

from contracts.bindings import sessions
from customers import models as customer_models
from openvpp.core import db, errors
from wallets import models, operations, queries
from wallets.adapters import chain
from wallets.domain import client_keys, prepared

logger = logging.getLogger(__name__)

State = models.Operation.State
MOST = 100
TOO_LATE = "It was not signed on the phone in time."
OVERTAKEN = "Another operation of this wallet went first; what was to be signed is worth nothing any more."


class UnableToRelaySignature(errors.UnableTo):
    """No signature is wanted, or none any more; `code` says why."""


class NotAllowedToSign(UnableToRelaySignature):
    """The app acts under another permission than the operation's."""

    status = 403


@db.durable
def relay_signature(
    *,
    user: customer_models.User,
    operation_id: uuid.UUID,
    grant: models.SessionKeyGrant | None,
    signature: bytes,
    now: datetime.datetime,
) -> models.Operation:
    """Queue an operation with its phone's signature; one that is on its way already stays as it is.

    :raises queries.UnableToFindOperation: none that this person may know of.
    :raises NotAllowedToSign: `grant` is not the operation's, or has ended.
    :raises client_keys.UnableToAcceptSignature: it is not the grant's key's over the operation's hash.
    :raises UnableToRelaySignature: `no_signature_wanted`, `signature_too_late` or `operation_overtaken`.
    :raises errors.Unreachable: the chain does not answer; the same signature may be sent again.
    """
    operation = queries.get_operation(user=user, operation_id=operation_id)
    if grant is None or operation.grant_id != grant.pk:
        raise NotAllowedToSign("The operation belongs to another app's permission.", code="other_grant")
    request = models.SignatureRequest.objects.filter(operation=operation).first()
    if request is None or grant.client_key is None:
        raise UnableToRelaySignature("This operation waits for no signature.", code="no_signature_wanted")
    key_signature = client_keys.accept(
        key=grant.client_key, digest=bytes.fromhex(request.user_operation_hash[2:]), signature=signature
    )
    if operation.state == State.AWAITING_SIGNATURE:
        account = chain.read_account(address=operation.wallet.address, chain_id=operation.wallet.chain_id)
        refusal = _queue(request=request, key_signature=key_signature, nonce=account.nonce, now=now)
        if refusal is not None:
            raise refusal
    elif operation.user_operation_id is None:
        raise UnableToRelaySignature(operation.failure or TOO_LATE, code="signature_too_late")
    return queries.get_operation(user=user, operation_id=operation_id)


@db.durable
def end_unsigned(*, now: datetime.datetime) -> int:
    """End what no phone will sign any more; return how many."""
    ended = 0
    for operation_id in queries.get_unsigned_operations(now=now, most=MOST):
        with db.transaction():
            operation = queries.lock_operation(operation_id=operation_id)
            if operation.state == State.AWAITING_SIGNATURE:
                live = operation.grant is not None and operation.grant.is_live(now=now)
                _end(operation, reason=TOO_LATE if live else operations.WITHDRAWN, now=now)
                ended += 1
    return ended


@db.transaction
def _queue(
    *, request: models.SignatureRequest, key_signature: bytes, nonce: int, now: datetime.datetime
) -> UnableToRelaySignature | None:
    """Queue it, or end it and return why: what ends it is to be committed."""
    operation = queries.lock_operation(operation_id=request.operation_id)
    if operation.state == State.AWAITING_SIGNATURE:
        unsigned = prepared.from_json(request.user_operation)
        code, reason = _find_obstacle(operation, request=request, overtaken=unsigned.nonce != nonce, now=now)
        if operation.grant is not None and not code:
            leave = bytes(operation.grant.owner_leave)
            whole = sessions.encode_session_signature(key_signature=key_signature, leave=leave)
            signed = dataclasses.replace(unsigned, signature=whole)
            try:
                operations.queue(operation=operation, signed=signed, expires_at=request.lands_by, now=now)
            except operations.UnableToSubmit:
                code, reason = "operation_overtaken", OVERTAKEN
        if code:
            _end(operation, reason=reason, now=now)
            return UnableToRelaySignature(reason, code=code)
    if operation.user_operation is None:
        return UnableToRelaySignature(operation.failure, code="signature_too_late")
    return None


def _find_obstacle(
    operation: models.Operation, *, request: models.SignatureRequest, overtaken: bool, now: datetime.datetime
) -> tuple[str, str]:
    frozen = queries.get_freeze_reason(operation=operation)
    if request.sign_by <= now:
        return "signature_too_late", TOO_LATE
    if frozen:
        return "wallet_frozen", frozen
    return ("operation_overtaken", OVERTAKEN) if overtaken else ("", "")


def _end(operation: models.Operation, *, reason: str, now: datetime.datetime) -> None:
    logger.info("an operation ends unsigned: operation=%s", operation.pk)
    operations.end(operation=operation, result=operation.ended(succeeded=False, reason=reason, receipt=None), now=now)
