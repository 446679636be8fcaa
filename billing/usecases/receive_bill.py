"""The utility's own billing system sends a bill that it rated itself."""

import dataclasses
import datetime
from collections.abc import Sequence

from billing import models
from billing.domain import currencies, settlement
from billing.usecases import adjust_bill, issue_bill
from customers import models as customer_models
from openvpp.core import db, errors

NANO_PER_CENT = 10**7
KIND = "received"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row as the billing system prints it."""

    label: str
    amount_cents: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A bill as the billing system sends it, for the local days `[starts_on, ends_on)`."""

    account_number: str
    number: str
    starts_on: datetime.date
    ends_on: datetime.date
    due_on: datetime.date
    currency: str
    amount_due_cents: int
    lines: Sequence[Line]


class UnableToReceiveBill(errors.Invalid):
    """The bill is not taken; `code` says why."""


class UnableToFindAccount(errors.NotFound):
    """The utility has no account of this number."""


@db.transaction
def receive_bill(*, utility_id: int, received: Received, now: datetime.datetime) -> models.Bill:
    """Issue a bill that the utility's billing system rated; the same bill sent again is the same bill.

    It is sent for its own charges: credit that earlier bills left is used here, in a line of its own.

    :raises UnableToFindAccount: the utility has no such account.
    :raises UnableToReceiveBill: the lines do not sum to the amount, a wrong currency, a period that runs backward, or
        another bill has this number.
    """
    utility = customer_models.Utility.objects.get(pk=utility_id)
    account = (
        customer_models.CustomerAccount.objects.of_utility(utility_id)
        .select_for_update(no_key=True)
        .filter(number=received.account_number)
        .first()
    )
    if account is None:
        raise UnableToFindAccount("There is no account of this number.", code="account_not_found")
    _check(received=received, utility=utility)
    existing = models.Bill.objects.of_utility(utility_id).filter(number=received.number).first()
    if existing is not None:
        if not _is_same(existing=existing, received=received, account=account):
            raise UnableToReceiveBill("Another bill has this number.", code="bill_number_used")
        return existing  # type: ignore[no-any-return]
    settled = settlement.settle(
        charged_nano=received.amount_due_cents * NANO_PER_CENT,
        credits_left=adjust_bill.read_balances(account_ids=[account.pk]).get(account.pk, ()),
    )
    total_cents = received.amount_due_cents - settled.brought_nano // NANO_PER_CENT
    bill = models.Bill(
        utility=utility,
        account=account,
        source=models.Bill.Source.RECEIVED,
        number=received.number,
        starts_on=received.starts_on,
        ends_on=received.ends_on,
        time_zone=utility.time_zone,
        currency=utility.currency,
        total_cents=total_cents,
        amount_due_cents=max(0, total_cents),
        brought_forward_cents=settled.brought_nano // NANO_PER_CENT,
        carried_forward_cents=settled.carried_nano // NANO_PER_CENT,
        due_on=received.due_on,
        issued_at=now,
    )
    lines = [
        models.BillLine(
            kind=kind,
            label=label,
            quantity=1,
            unit="bill",
            unit_price_nano=amount_nano,
            amount_nano=amount_nano,
            starts_on=received.starts_on,
            ends_on=received.ends_on,
        )
        for kind, label, amount_nano in (
            *((KIND, line.label, line.amount_cents * NANO_PER_CENT) for line in received.lines),
            *((line.kind.value, line.label, line.amount_nano) for line in settled.lines),
        )
    ]
    issue_bill.write_issued(bill=bill, lines=lines, used=settled.used, now=now)
    return bill


def _check(*, received: Received, utility: customer_models.Utility) -> None:
    currencies.check(currency=utility.currency)
    if received.currency != utility.currency:
        raise UnableToReceiveBill(f"Bills of {utility} are in {utility.currency}.", code="wrong_currency")
    if received.ends_on <= received.starts_on:
        raise UnableToReceiveBill("The period ends after it starts.", code="period_runs_backward")
    total = sum(line.amount_cents for line in received.lines)
    if total != received.amount_due_cents:
        raise UnableToReceiveBill(
            "The lines do not sum to the amount due.",
            code="lines_do_not_sum",
            extra={"lines_cents": total, "amount_due_cents": received.amount_due_cents},
        )


def _is_same(*, existing: models.Bill, received: Received, account: customer_models.CustomerAccount) -> bool:
    kept = [(line.label, line.amount_nano) for line in existing.lines.filter(kind=KIND)]
    sent = [(line.label, line.amount_cents * NANO_PER_CENT) for line in received.lines]
    return (existing.account_id, existing.starts_on, existing.ends_on, existing.due_on, kept) == (
        account.pk,
        received.starts_on,
        received.ends_on,
        received.due_on,
        sent,
    )
