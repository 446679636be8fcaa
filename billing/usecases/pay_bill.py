"""A customer pays a bill under a quote."""

import dataclasses
import datetime
import logging
import uuid

from billing import models, queries
from billing.usecases import notices, quote_payment
from customers import models as customer_models
from openvpp.core import db, errors, sql
from relayer import models as relayer_models
from wallets import models as wallet_models
from wallets import operations as wallet_operations
from wallets import queries as wallet_queries
from wallets.domain import account_state, intents

logger = logging.getLogger(__name__)


class UnableToPayBill(errors.UnableTo):
    """Nothing moved; `code` says why and `extra` carries the facts."""


class NotAllowedToPay(UnableToPayBill):
    """This person or app may not pay this bill."""

    status = 403


@db.durable
def start(
    *,
    user: customer_models.User,
    bill_id: uuid.UUID,
    quote_id: uuid.UUID,
    amount_units: int,
    grant: wallet_models.SessionKeyGrant | None,
    now: datetime.datetime,
) -> models.Payment:
    """Reserve the spend and send the payment; what became of it is followed by its operation.

    When the chain or the signer cannot be reached the payment stays reserved and is sent as soon as they can.

    :raises queries.UnableToFindBill: none that this person may know of.
    :raises NotAllowedToPay: the person may not pay it, or the app has no permission to.
    :raises UnableToPayBill: the bill is not to be paid, or not under this quote.
    :raises wallet_operations.UnableToReserve: the app's permission does not reach so far.
    """
    fee = queries.get_own_quote(user=user, quote_id=quote_id)
    account = _require_funds(fee=fee) if fee is not None else None
    payment = _reserve(user=user, bill_id=bill_id, fee=fee, amount_units=amount_units, grant=grant, now=now)
    try:
        wallet_operations.submit_reserved(operation=payment.operation, now=now, account=account)
    except (wallet_operations.UnableToSubmit, errors.Unreachable) as error:
        logger.warning("payment waits: payment=%s reason=%s", payment.pk, error)
    if payment.operation.state == wallet_models.Operation.State.FAILED:
        return queries.get_payment(user=user, payment_id=payment.pk)
    return payment


def _require_funds(*, fee: relayer_models.FeeQuote) -> account_state.AccountState | None:
    """Refuse what the wallet cannot pay before gas is spent on it; an unreachable chain is asked again by sending.

    What the chain says of the wallet besides is returned.
    """
    wish = _to_wish(fee)
    needed = {wish.token: wish.spend_units} | ({wish.fee_token: wish.fee_units} if wish.fee_token else {})
    try:
        account, held = wallet_queries.get_payer(address=fee.sender, tokens=list(needed), chain_id=fee.chain_id)
    except errors.Unreachable:
        return None
    for (token, needed_units), held_units in zip(needed.items(), held, strict=True):
        if held_units < needed_units:
            raise UnableToPayBill(
                "Your wallet holds too little for this payment.",
                code="insufficient_balance",
                extra={"token": token, "needed_units": str(needed_units), "held_units": str(held_units)},
            )
    return account


@db.transaction
def _reserve(
    *,
    user: customer_models.User,
    bill_id: uuid.UUID,
    fee: relayer_models.FeeQuote | None,
    amount_units: int,
    grant: wallet_models.SessionKeyGrant | None,
    now: datetime.datetime,
) -> models.Payment:
    asked = _ask(user=user, bill_id=bill_id, fee=fee)
    bill = queries.lock_bill(user=user, bill_id=bill_id)
    quote_payment.require_payable(bill=bill, failure=UnableToPayBill)
    people = dict(asked.people.all())
    found = (
        asked.wallet.first()
        if fee is not None and fee.utility_id == bill.utility_id
        else wallet_queries.get_wallet_at(user=user, utility_id=bill.utility_id)
    )
    wallet = quote_payment.require_payer(user=user, people=people, wallet=found, failure=NotAllowedToPay)
    if grant is None:
        raise NotAllowedToPay(
            "This app has no permission to pay. Agree to a spending limit in the app first.", code="grant_required"
        )
    if grant.wallet_id != wallet.pk:
        raise NotAllowedToPay("This app's permission to pay is for another wallet.", code="grant_of_another_wallet")
    if fee is None:
        raise UnableToPayBill("There is no such quote. Ask for one.", code="quote_of_another_bill")
    is_used = fee.used_at is not None or bool(asked.payments.all())
    wish = _read_quote(fee=fee, bill=bill, wallet=wallet, is_used=is_used, amount_units=amount_units, now=now)
    _require_fee_within(grant=grant, wish=wish)
    operation = wallet_operations.reserve(
        wallet=wallet,
        grant=grant,
        quote=fee,
        kind=wallet_models.Operation.Kind.BILL_PAYMENT,
        reference=wish.reference,
        intent=wish.to_json(),
        spend_units=wish.spend_units,
        now=now,
        is_sent_at_once=True,
    )
    tokens = {token.address: token for token in asked.tokens.all()}
    payment = models.Payment(
        utility=bill.utility,
        account=bill.account,
        wallet=wallet,
        operation=operation,
        quote=fee,
        made_by=user,
        treasury_address=wish.payee,
        token=tokens[wish.token],
        amount_cents=bill.amount_due_cents,
        amount_units=wish.amount_units,
        fee_mode=fee.mode,
        fee_token=tokens[fee.fee_token] if fee.fee_token else None,
        fee_units=fee.fee_units,
        created_at=now,
    )
    allocation = models.PaymentAllocation(payment=payment, bill=bill, amount_cents=bill.amount_due_cents)
    payment.holds(allocations=[allocation], transfers=[])
    bill.state = models.Bill.State.PENDING
    pending = "UPDATE billing_bill SET state = %s WHERE id = %s"
    sql.insert_later(payment, allocation, then=pending, parameters=[bill.state, bill.pk])
    notices.tell_payment_pending(payment=payment, bills=[bill], user_ids=people, now=now)
    return payment


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked in one trip with the lock of the bill."""

    people: sql.Question
    wallet: sql.Question
    payments: sql.Question
    tokens: sql.Question


def _ask(*, user: customer_models.User, bill_id: uuid.UUID, fee: relayer_models.FeeQuote | None) -> _Asked:
    utility_id = None if fee is None else fee.utility_id
    return _Asked(
        people=queries.ask_people_of_bill(bill_id=bill_id),
        wallet=wallet_queries.ask_wallet_at(user=user, utility_id=utility_id),
        payments=queries.ask_payments_under(quote_id=None if fee is None else fee.pk),
        tokens=_TOKENS.ask(utility_id=utility_id),
    )


_TOKENS = sql.Read(lambda: customer_models.AcceptedToken.objects.of_utility(sql.Slot("utility_id")))


def _read_quote(
    *,
    fee: relayer_models.FeeQuote,
    bill: models.Bill,
    wallet: wallet_models.Wallet,
    is_used: bool,
    amount_units: int,
    now: datetime.datetime,
) -> intents.BillPayment:
    if fee.intent.get("bill_id") != str(bill.pk) or fee.sender != wallet.address:
        raise UnableToPayBill("This is not a quote of yours for this bill. Ask for one.", code="quote_of_another_bill")
    if is_used:
        raise UnableToPayBill("This quote was used. Ask for a new one.", code="quote_used")
    if fee.expires_at <= now:
        raise UnableToPayBill(
            "This quote has expired. Ask for a new one.",
            code="quote_expired",
            extra={"expired_at": fee.expires_at.isoformat()},
        )
    wish = _to_wish(fee)
    if amount_units != wish.amount_units:
        raise UnableToPayBill(
            "The amount is not the one that was quoted.",
            code="amount_differs",
            extra={"quoted_units": str(wish.amount_units), "amount_units": str(amount_units)},
        )
    if wish.payee != bill.utility.treasury_address:
        raise UnableToPayBill("The utility is paid at another address now. Ask for a new quote.", code="quote_outdated")
    return wish


def _to_wish(fee: relayer_models.FeeQuote) -> intents.BillPayment:
    """Return the payment that was quoted, with its fee; a fee in the bill's token goes with the amount."""
    wish = intents.BillPayment.from_json(fee.intent)
    own_token = fee.fee_token is None or fee.fee_token == wish.token
    return dataclasses.replace(wish, fee_units=fee.fee_units, fee_token=None if own_token else fee.fee_token)


def _require_fee_within(*, grant: wallet_models.SessionKeyGrant, wish: intents.BillPayment) -> None:
    if (wish.token, wish.payee) != (grant.token, grant.payee):
        raise NotAllowedToPay(
            "This app's permission is for another payee or token.",
            code="grant_does_not_cover",
            extra={"allowed_payee": grant.payee, "allowed_token": grant.token},
        )
    if wish.fee_token is not None and wish.fee_token != grant.fee_token:
        raise NotAllowedToPay("This app's permission names no such token for fees.", code="grant_does_not_cover")
    limit_units = grant.fee_cap_units if wish.fee_token is None else grant.fee_token_cap_units
    if wish.fee_units > limit_units:
        raise UnableToPayBill(
            "The network fee is above the most that you agreed to.",
            code="over_fee_limit",
            extra={"fee_units": str(wish.fee_units), "limit_units": str(limit_units)},
        )
