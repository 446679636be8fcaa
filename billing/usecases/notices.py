"""What the people of an account are told of their bills and payments."""

import datetime
from collections.abc import Collection, Sequence
from typing import Any

from billing import models
from customers import queries as customer_queries
from notifications import models as notification_models
from notifications import operations as notifications
from openvpp.core import db, money

Kind = notification_models.Notice.Kind
LONGEST_BODY = 1000


@db.transaction_required
def tell_bills_issued(*, bills: Sequence[models.Bill], now: datetime.datetime) -> None:
    """Tell of new bills of one utility, all in a fixed number of statements."""
    if not bills:
        return
    people = customer_queries.users_of_accounts(account_ids=[bill.account_id for bill in bills])
    notifications.tell_each(
        messages=[_bill_issued(bill, people[bill.account_id]) for bill in bills if bill.account_id in people],
        utility_id=bills[0].utility_id,
        kind=Kind.BILL_ISSUED,
        now=now,
    )


@db.transaction_required
def tell_bill_issued(*, bill: models.Bill, now: datetime.datetime) -> None:
    """Tell of a new bill."""
    tell_bills_issued(bills=[bill], now=now)


def _bill_issued(bill: models.Bill, user_ids: Sequence[int]) -> notifications.Message:
    amount = _amount(cents=bill.amount_due_cents, currency=bill.currency)
    body = f"Bill {bill.number} from {bill.utility} for {bill.starts_on} to {_last_day(bill)}, due {bill.due_on}."
    if bill.corrects is not None:
        body += f" It stands in for bill {bill.corrects.number}: {bill.correction_reason}"
    if bill.brought_forward_cents:
        used = _amount(cents=bill.brought_forward_cents, currency=bill.currency)
        body += f" {used} of credit from earlier bills is taken off."
    if bill.carried_forward_cents:
        left = _amount(cents=bill.carried_forward_cents, currency=bill.currency)
        body += f" {left} of credit is left for later bills."
    if bill.estimates:
        body += f" {bill.estimates_text}"
    if bill.omissions:
        body += f" Not charged yet: {' '.join(bill.omissions)}"
    return notifications.Message(
        user_ids=user_ids,
        key=f"bill.issued:{bill.pk}",
        title=f"Your corrected bill of {amount} is here" if bill.corrects else f"Your bill of {amount} is here",
        body=body[:LONGEST_BODY],
        data={
            "bill_id": str(bill.pk),
            "number": bill.number,
            "amount_due": _decimal(bill.amount_due_cents),
            "total": _decimal(bill.total_cents),
            "credit_brought_forward": _decimal(bill.brought_forward_cents),
            "credit_carried_forward": _decimal(bill.carried_forward_cents),
            "currency": bill.currency,
            "due_on": bill.due_on.isoformat(),
            "omissions": bill.omissions,
            "estimated_intervals": sum(each.intervals for each in bill.estimates),
            "corrects": bill.corrects.number if bill.corrects else None,
        },
    )


@db.transaction_required
def tell_payment_pending(
    *, payment: models.Payment, bills: Sequence[models.Bill], user_ids: Collection[int], now: datetime.datetime
) -> None:
    """Tell an account's people that a payment, made in the open transaction, is on its way."""
    amount = _amount(cents=payment.amount_cents, currency=payment.utility.currency)
    _tell_of_payment(
        payment=payment,
        bills=bills,
        kind=Kind.PAYMENT_PENDING,
        title=f"Your payment of {amount} is on its way",
        body=f"{_numbers(bills)}: we tell you as soon as it has arrived.",
        now=now,
        new_to=user_ids,
    )


@db.transaction_required
def tell_payment_paid(*, payment: models.Payment, bills: Sequence[models.Bill], now: datetime.datetime) -> None:
    """Tell that a payment has arrived."""
    amount = _amount(cents=payment.amount_cents, currency=payment.utility.currency)
    _tell_of_payment(
        payment=payment,
        bills=bills,
        kind=Kind.PAYMENT_PAID,
        title=f"Your payment of {amount} has arrived",
        body=f"{_numbers(bills)} is paid. Thank you.",
        now=now,
    )


@db.transaction_required
def tell_payment_failed(*, payment: models.Payment, bills: Sequence[models.Bill], now: datetime.datetime) -> None:
    """Tell that a payment failed, why, and that the bill is still to be paid."""
    amount = _amount(cents=payment.amount_cents, currency=payment.utility.currency)
    _tell_of_payment(
        payment=payment,
        bills=bills,
        kind=Kind.PAYMENT_FAILED,
        title=f"Your payment of {amount} did not go through",
        body=f"{payment.failure} {_numbers(bills)} is still to be paid.",
        now=now,
    )


def _tell_of_payment(
    *,
    payment: models.Payment,
    bills: Sequence[models.Bill],
    kind: notification_models.Notice.Kind,
    title: str,
    body: str,
    now: datetime.datetime,
    new_to: Collection[int] | None = None,
) -> None:
    _tell(
        account_id=payment.account_id,
        utility_id=payment.utility_id,
        kind=kind,
        key=f"{kind.value}:{payment.pk}",
        title=title,
        body=body,
        data={
            "payment_id": str(payment.pk),
            "operation_id": str(payment.operation_id),
            "bill_ids": [str(bill.pk) for bill in bills],
            "amount": str(money.from_units(units=payment.amount_units, decimals=payment.token.decimals)),
            "amount_units": str(payment.amount_units),
            "token": payment.token.symbol,
            "transaction_hash": payment.transaction_hash,
            "failure": payment.failure,
        },
        now=now,
        new_to=new_to,
    )


def _tell(
    *,
    account_id: int,
    utility_id: int,
    kind: notification_models.Notice.Kind,
    key: str,
    title: str,
    body: str,
    data: dict[str, Any],
    now: datetime.datetime,
    new_to: Collection[int] | None = None,
) -> None:
    notifications.tell(
        user_ids=customer_queries.people_of_account(account_id=account_id) if new_to is None else new_to,
        utility_id=utility_id,
        kind=kind,
        key=key,
        title=title,
        body=body,
        data=data,
        now=now,
        is_new=new_to is not None,
    )


def _numbers(bills: Sequence[models.Bill]) -> str:
    return "Bill " + ", ".join(bill.number for bill in bills)


def _last_day(bill: models.Bill) -> datetime.date:
    return bill.ends_on - datetime.timedelta(days=1)


def _decimal(cents: int) -> str:
    return str(money.from_units(units=cents, decimals=2))


def _amount(*, cents: int, currency: str) -> str:
    return f"{_decimal(cents)} {currency}"
