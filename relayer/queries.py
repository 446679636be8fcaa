"""Reads of the relayer."""

import datetime
import decimal

from django.conf import settings

from openvpp.core import errors
from relayer import models
from relayer.domain import receipts

NATIVE = "0x0000000000000000000000000000000000000000"


class UnableToFindReceipt(errors.NotFound):
    """The operation stands in no block."""


class UnableToFindPrice(errors.UnableTo):
    """No price of the token, or none that is fresh."""

    status = 503


def get_receipt(*, user_operation_hash: str) -> receipts.Receipt:
    """Return what the chain says of an operation that stands in a block; final when the operation's state is.

    :raises UnableToFindReceipt: it stands in none that is known here.
    """
    row = models.UserOperationReceipt.objects.filter(user_operation__in=[user_operation_hash]).first()
    if row is None:
        raise UnableToFindReceipt("The operation stands in no block yet.")
    return receipts.Receipt(
        user_operation_hash=user_operation_hash,
        succeeded=row.has_succeeded,
        reason=row.reason,
        transaction_hash=str(row.transaction_hash),
        block_number=row.block_number,
        block_hash=str(row.block_hash),
        gas_used=row.gas_used,
        gas_cost_wei=int(row.gas_cost_wei),
        logs=tuple(
            receipts.Log(
                address=log["address"], topics=tuple(log["topics"]), data=log["data"], log_index=log["log_index"]
            )
            for log in row.logs
        ),
    )


def get_price_usd(*, chain_id: int, token: str, now: datetime.datetime) -> decimal.Decimal:
    """Return the US dollars of one whole token (`NATIVE` for the chain's coin).

    :raises UnableToFindPrice: there is none, or it is older than PRICE_MAX_AGE.
    """
    price = models.TokenPrice.objects.filter(chain_id=chain_id, token=token).first()
    if price is None:
        raise UnableToFindPrice("No price of the token is known.", code="price_unknown")
    if price.observed_at < now - settings.PRICE_MAX_AGE:
        raise UnableToFindPrice("The token's price is out of date. Try again shortly.", code="price_stale")
    return price.price_usd
