"""`wallet_sendCalls` and `wallet_getCallsStatus` (EIP-5792): the payment of a bill, asked for as a token's transfer.

The leave that a person gave an application covers the payment of bills and nothing else. So the one call that is taken
is the transfer of a bill's amount to the utility, in the grant's token; it becomes the same payment that the API makes,
reserved against the same limits. What the wallet sends in the end carries the bill's reference too.
"""

import datetime
import hashlib
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from customers import models as customer_models
from openvpp.core import db, errors, idempotency, upcalls
from relayer import queries as relayer_queries
from relayer.domain import receipts
from wallets import models
from wallets.domain import wallet_calls

_Code = wallet_calls.Code
_State = models.Operation.State
_METHOD = "wallet_sendCalls"
_ACCEPTED = 200
PENDING, CONFIRMED, FAILED, REVERTED = 100, 200, 400, 500


@db.durable
def send(
    *,
    user: customer_models.User,
    grant: models.SessionKeyGrant,
    asked: wallet_calls.Asked,
    now: datetime.datetime,
) -> str:
    """Make the payment that is asked for, and return the batch's id; the same batch under the same id is once.

    :raises wallet_calls.RefusedCall: it is for another chain or wallet, the grant does not cover it, its id names
        another batch, or the payment is refused.
    :raises errors.Unreachable: chain or signer do not answer.
    """
    transfer = _check(asked, grant=grant)
    bill_id = _bill_id(asked)
    id_ = asked.id or "0x" + secrets.token_hex(32)

    def act() -> tuple[int, Any]:
        operation: models.Operation = upcalls.resolve(path=settings.PAYMENT_BY_CALL)(
            user=user, grant=grant, units=transfer.units, bill_id=bill_id, now=now
        )
        return _ACCEPTED, {"operation_id": str(operation.pk)}

    def resume() -> tuple[int, Any] | None:
        found = _find_unanswered(user=user, grant=grant, units=transfer.units, bill_id=bill_id, now=now)
        return None if found is None else (_ACCEPTED, {"operation_id": str(found.pk)})

    try:
        idempotency.answer_once(
            user_id=user.pk,
            application_id=grant.application_id,
            key=_key(id_),
            method=_METHOD,
            path="",
            body={"to": transfer.to, "token": transfer.token, "units": str(transfer.units), "bill": str(bill_id)},
            now=now,
            act=act,
            resume=resume,
        )
    except idempotency.UnableToRepeatRequest as refusal:
        raise wallet_calls.RefusedCall(_Code.DUPLICATE_ID, "Another batch has this id, or is being sent.") from refusal
    except errors.UnableTo as refusal:
        code = _Code.UNAUTHORIZED if refusal.status == errors.Forbidden.status else _Code.REJECTED
        raise wallet_calls.RefusedCall(code, refusal.detail, data={"code": refusal.code, **refusal.extra}) from refusal
    return id_


def status(*, user: customer_models.User, application_id: int, id_: str, now: datetime.datetime) -> dict[str, Any]:
    """Return what became of a batch, for a day, as EIP-5792 writes it.

    :raises wallet_calls.RefusedCall: none of this person and application has this id.
    """
    answer = idempotency.find_answer(user_id=user.pk, application_id=application_id, key=_key(id_), now=now)
    if answer is None:
        raise wallet_calls.RefusedCall(_Code.UNKNOWN_ID, "There is no such batch.")
    operation = models.Operation.objects.for_customer(user).get(pk=uuid.UUID(answer["operation_id"]))
    receipt = _receipt(operation)
    return {
        "version": wallet_calls.VERSION,
        "id": id_,
        "chainId": hex(operation.wallet.chain_id),
        "status": _status(operation, receipt),
        "atomic": True,
        "receipts": [] if receipt is None else [_write(receipt)],
    }


def _find_unanswered(
    *,
    user: customer_models.User,
    grant: models.SessionKeyGrant,
    units: int,
    bill_id: uuid.UUID | None,
    now: datetime.datetime,
) -> models.Operation | None:
    """Return the payment that a request had begun whose process ended before it could answer."""
    rows = models.Operation.objects.filter(
        grant=grant,
        kind=models.Operation.Kind.BILL_PAYMENT,
        intent__amount_units=str(units),
        created_at__gte=now - idempotency.KEEP,
    )
    if bill_id is not None:
        rows = rows.filter(quote__intent__bill_id=str(bill_id))
    found: models.Operation
    for found in rows.order_by("-created_at"):
        if not idempotency.is_answered_with(
            user_id=user.pk, application_id=grant.application_id, member="operation_id", value=str(found.pk)
        ):
            return found
    return None


def _check(asked: wallet_calls.Asked, *, grant: models.SessionKeyGrant) -> wallet_calls.Transfer:
    wallet = grant.wallet
    if asked.chain_id != wallet.chain_id:
        raise wallet_calls.RefusedCall(_Code.UNSUPPORTED_CHAIN, "The wallet is on another chain.")
    if asked.sender not in (None, wallet.address):
        raise wallet_calls.RefusedCall(_Code.UNAUTHORIZED, "This is not the wallet that the permission is for.")
    if grant.client_key is not None:
        raise wallet_calls.RefusedCall(_Code.UNAUTHORIZED, "The phone signs for this wallet: pay through the API.")
    transfer = wallet_calls.read_transfer(asked.calls[0])
    if transfer is None or (transfer.token, transfer.to) != (grant.token, grant.payee):
        raise wallet_calls.RefusedCall(
            _Code.UNAUTHORIZED,
            "The permission covers the payment of bills alone: a transfer of its token to its payee.",
            data={"token": grant.token, "payee": grant.payee},
        )
    _check_capabilities(asked, grant=grant)
    return transfer


def _check_capabilities(asked: wallet_calls.Asked, *, grant: models.SessionKeyGrant) -> None:
    given = asked.capabilities
    paymaster = given.get("paymasterService", {})
    own = f"{settings.ISSUER}/rpc/v1/{grant.wallet.chain_id}"
    if paymaster and paymaster.get("url") != own and paymaster.get("optional") is not True:
        raise wallet_calls.RefusedCall(
            _Code.UNSUPPORTED_CAPABILITY, f"The only paymaster service of this wallet is {own}."
        )
    if "permissions" in given and given["permissions"].get("context") != context_of(grant):
        raise wallet_calls.RefusedCall(_Code.UNAUTHORIZED, "This is not the permission of the access token.")


def context_of(grant: models.SessionKeyGrant) -> str:
    """Return what names a grant as a permission (ERC-7715)."""
    return "0x" + grant.pk.hex


def _bill_id(asked: wallet_calls.Asked) -> uuid.UUID | None:
    named = asked.capabilities.get("billPayment", {}).get("bill")
    if named is None:
        return None
    try:
        return uuid.UUID(str(named))
    except ValueError:
        raise wallet_calls.RefusedCall(_Code.BAD_PARAMETERS, "billPayment.bill is no id of a bill.") from None


def _key(id_: str) -> str:
    return f"{_METHOD}:{hashlib.sha256(id_.encode()).hexdigest()}"


def _receipt(operation: models.Operation) -> receipts.Receipt | None:
    if operation.user_operation_id is None:
        return None
    try:
        return relayer_queries.get_receipt(user_operation_hash=operation.user_operation_id)
    except relayer_queries.UnableToFindReceipt:
        return None


def _status(operation: models.Operation, receipt: receipts.Receipt | None) -> int:
    if receipt is not None:
        return CONFIRMED if receipt.succeeded else REVERTED
    return FAILED if operation.state == _State.FAILED else PENDING


def _write(receipt: receipts.Receipt) -> Mapping[str, Any]:
    return {
        "logs": [{"address": log.address, "data": log.data, "topics": list(log.topics)} for log in receipt.logs],
        "status": "0x1" if receipt.succeeded else "0x0",
        "blockHash": receipt.block_hash,
        "blockNumber": hex(receipt.block_number),
        "gasUsed": hex(receipt.gas_used),
        "transactionHash": receipt.transaction_hash,
    }
