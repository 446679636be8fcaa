"""A bill is paid because a wallet was asked to transfer its amount to the utility (EIP-5792)."""

import datetime
import uuid

from billing import models, queries
from billing.usecases import pay_bill, quote_payment
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors
from wallets import models as wallet_models


class UnableToFindBillOfCall(errors.Forbidden):
    """No open bill of this person asks for what the call transfers."""


@db.durable
def start(
    *,
    user: customer_models.User,
    grant: wallet_models.SessionKeyGrant,
    units: int,
    bill_id: uuid.UUID | None,
    now: datetime.datetime,
) -> wallet_models.Operation:
    """Pay the bill named, or the open one that asks for exactly these units and is due first; return the operation.

    :raises UnableToFindBillOfCall: there is none.
    :raises quote_payment.UnableToQuotePayment: the bill cannot be paid so.
    :raises pay_bill.UnableToPayBill: it is not to be paid, or not within the grant's limits.
    """
    utility_id = grant.wallet.utility_id
    token = next(
        (each for each in customer_queries.get_bill_tokens(utility_id=utility_id) if each.address == grant.token), None
    )
    if token is None:
        raise UnableToFindBillOfCall("The utility no longer takes bills in this token.")
    bill = _find(user=user, utility_id=utility_id, token=token, units=units, bill_id=bill_id)
    quoted = quote_payment.quote(
        user=user, bill_id=bill.pk, token_symbol=token.symbol, fee_mode=None, grant=grant, now=now
    )
    payment = pay_bill.start(
        user=user, bill_id=bill.pk, quote_id=quoted.fee.pk, amount_units=units, grant=grant, now=now
    )
    return payment.operation


def _find(
    *,
    user: customer_models.User,
    utility_id: int,
    token: customer_models.AcceptedToken,
    units: int,
    bill_id: uuid.UUID | None,
) -> models.Bill:
    """Return the bill that is meant; one whole token is one unit of a bill's currency."""
    cents, rest = divmod(units * 10**quote_payment.CENTS_DECIMALS, 10**token.decimals)
    rows = queries.get_bills(user=user).filter(utility_id=utility_id, amount_due_cents=cents)
    rows = rows.filter(state=models.Bill.State.ISSUED) if bill_id is None else rows.filter(pk=bill_id)
    found: models.Bill | None = None if rest else rows.order_by("due_on", "pk").first()
    if found is None:
        raise UnableToFindBillOfCall("No open bill of yours asks for exactly this amount.")
    return found
