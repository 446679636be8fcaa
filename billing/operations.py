"""Writes of bills, payments and books, in the transaction of whoever calls."""

import datetime
import itertools
import uuid
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db import models as db_models
from django.db.models import F, Sum
from psycopg import sql

from billing import models
from billing.domain import ledger, proof
from contracts.bindings import words
from openvpp.core import db, money
from relayer.domain import receipts

NANO_PER_CENT = 10**7


@db.transaction_required
def book(
    *,
    account_id: int | None = None,
    utility_id: int,
    kind: models.LedgerTransaction.Kind,
    postings: Sequence[ledger.Posting],
    bill: models.Bill | None = None,
    payment: models.Payment | None = None,
    credit: models.AccountCredit | None = None,
    deposit: models.PrepaidDeposit | None = None,
    operation_id: uuid.UUID | None = None,
    now: datetime.datetime,
) -> models.LedgerTransaction | None:
    """Book postings together, once for each cause; None when there is nothing to book.

    `account_id` is the customer account of postings to `ledger.OF_CUSTOMERS`.

    The database refuses a booking that does not balance in every commodity, and any later change.

    :raises django.db.IntegrityError: the cause is booked already.
    """
    if not postings:
        return None
    booking: models.LedgerTransaction = models.LedgerTransaction.objects.create(
        utility_id=utility_id,
        kind=kind,
        bill=bill,
        payment=payment,
        credit=credit,
        deposit=deposit,
        operation_id=operation_id,
        booked_at=now,
    )
    models.LedgerEntry.objects.bulk_create(
        models.LedgerEntry(
            transaction=booking,
            account=_account(utility_id=utility_id, account_id=account_id, posting=posting),
            amount=posting.amount,
        )
        for posting in postings
    )
    return booking


@db.transaction_required
def book_bills(*, bills: Sequence[models.Bill], billed: Sequence[ledger.Billed], now: datetime.datetime) -> None:
    """Book many bills of one utility at once, each as `book` would; a bill of nothing books nothing.

    :raises django.db.IntegrityError: one of them is booked already.
    """
    postings = [
        (bill.pk, bill.account_id, posting)
        for bill, amounts in zip(bills, billed, strict=True)
        for posting in ledger.bill_issued(currency=bill.currency, billed=amounts)
    ]
    if not postings:
        return
    utility_id, currency = bills[0].utility_id, bills[0].currency
    values: dict[str, Any] = {
        "utility_id": utility_id,
        "commodity": currency,
        "kind": models.LedgerTransaction.Kind.BILL.value,
        "bills": list(dict.fromkeys(bill_id for bill_id, _, _ in postings)),
        "of_bills": [bill_id for bill_id, _, _ in postings],
        "codes": [posting.code.value for _, _, posting in postings],
        "amounts": [posting.amount for _, _, posting in postings],
        "of_owners": [owner if posting.code in ledger.OF_CUSTOMERS else None for _, owner, posting in postings],
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_ACCOUNTS, values)
        cursor.execute(_BOOK_BILLS, values)


@db.transaction_required
def copy_in(*, model: type[db_models.Model], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write new rows by COPY, which costs a tenth of an INSERT; they all have the columns of the first."""
    waiting = iter(rows)
    first = next(waiting, None)
    if first is None:
        return
    table = model._meta.db_table  # noqa: SLF001 - Django's own name for a documented interface
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, first))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in itertools.chain([first], waiting):
            copy.write_row(list(row.values()))


_OPEN_ACCOUNTS = """
    INSERT INTO billing_ledgeraccount (utility_id, code, commodity, customer_account_id)
    SELECT %(utility_id)s::bigint, code, %(commodity)s, owner
    FROM (SELECT DISTINCT * FROM unnest(%(codes)s::text[], %(of_owners)s::bigint[]) AS asked (code, owner)) AS wanted
    ORDER BY code, owner  -- those who open the same accounts at once wait for each other in one order
    ON CONFLICT DO NOTHING
"""
_BOOK_BILLS = """
    WITH booking AS (
        INSERT INTO billing_ledgertransaction (utility_id, kind, bill_id, booked_at)
        SELECT %(utility_id)s, %(kind)s, bill_id, %(now)s FROM unnest(%(bills)s::uuid[]) AS bill_id
        RETURNING id, bill_id
    )
    INSERT INTO billing_ledgerentry (transaction_id, account_id, amount)
    SELECT booking.id, account.id, posting.amount
    FROM unnest(%(of_bills)s::uuid[], %(codes)s::text[], %(of_owners)s::bigint[], %(amounts)s::numeric[])
        AS posting (bill_id, code, owner, amount)
    JOIN booking ON booking.bill_id = posting.bill_id
    CROSS JOIN LATERAL (
        SELECT id FROM billing_ledgeraccount WHERE utility_id = %(utility_id)s AND code = posting.code
            AND commodity = %(commodity)s AND customer_account_id = posting.owner
        UNION ALL
        SELECT id FROM billing_ledgeraccount WHERE utility_id = %(utility_id)s AND code = posting.code
            AND commodity = %(commodity)s AND customer_account_id IS NULL AND posting.owner IS NULL
    ) AS account
"""


@db.transaction_required
def reverse_bill(*, bill: models.Bill, now: datetime.datetime) -> None:
    """Book the opposite of what a bill booked; a bill of nothing books nothing.

    :raises django.db.IntegrityError: it is reversed already.
    """
    booking = models.LedgerTransaction.objects.filter(bill=bill, kind=models.LedgerTransaction.Kind.BILL).first()
    if booking is None:
        return
    reversal = models.LedgerTransaction.objects.create(
        utility_id=bill.utility_id, kind=models.LedgerTransaction.Kind.CANCELLATION, bill=bill, booked_at=now
    )
    models.LedgerEntry.objects.bulk_create(
        models.LedgerEntry(transaction=reversal, account_id=entry.account_id, amount=-entry.amount)
        for entry in booking.entries.all()
    )


@db.transaction_required
def leave_credits(*, bills: Sequence[models.Bill], now: datetime.datetime) -> None:
    """Leave what bills came to below zero to their accounts, as credit for later bills."""
    models.AccountCredit.objects.bulk_create(
        models.AccountCredit(
            account_id=bill.account_id,
            from_bill=bill,
            label=f"Credit of bill {bill.number}",
            amount=money.from_units(units=-bill.total_cents, decimals=2),
            given_on=now.astimezone(zoneinfo.ZoneInfo(bill.time_zone)).date(),
            reason=f"Bill {bill.number} came to less than nothing.",
            entered_at=now,
        )
        for bill in bills
        if bill.total_cents < 0
    )


@db.transaction_required
def withdraw_credit(*, bill: models.Bill) -> None:
    """Take back what is not used of the credit that a bill left, if it left any."""
    used_cents = get_used_nano(bill=bill) // NANO_PER_CENT
    models.AccountCredit.objects.filter(from_bill=bill).update(
        withdrawn=F("amount") - money.from_units(units=used_cents, decimals=2)
    )


def get_used_nano(*, bill: models.Bill) -> int:
    """Return what standing bills used of the credit that a bill left."""
    uses = models.CreditUse.objects.filter(credit__from_bill=bill).exclude(bill__state=models.Bill.State.CANCELLED)
    return int(uses.aggregate(used=Sum("amount_nano"))["used"] or 0)


@db.transaction_required
def book_credit(*, credit: models.AccountCredit, now: datetime.datetime) -> None:
    """Book a credit that the utility gives, once.

    :raises django.db.IntegrityError: it is booked already.
    """
    utility = credit.account.utility
    book(
        account_id=credit.account_id,
        utility_id=utility.pk,
        kind=models.LedgerTransaction.Kind.CREDIT,
        postings=ledger.credit_given(currency=utility.currency, amount_cents=int(credit.amount * 100)),
        credit=credit,
        now=now,
    )


@db.transaction_required
def book_deposit(*, deposit: models.PrepaidDeposit, now: datetime.datetime) -> None:
    """Book what an account paid in advance, once.

    :raises django.db.IntegrityError: it is booked already.
    """
    utility = deposit.account.utility
    book(
        account_id=deposit.account_id,
        utility_id=utility.pk,
        kind=models.LedgerTransaction.Kind.DEPOSIT,
        postings=ledger.deposit_taken(currency=utility.currency, amount_cents=int(deposit.amount * 100)),
        deposit=deposit,
        now=now,
    )


@db.transaction_required
def settle_payment(
    *, payment: models.Payment, proven: proof.Proven, receipt: receipts.Receipt, now: datetime.datetime
) -> list[models.Bill]:
    """Write a proven payment: its logs counted, its bills paid, its booking. Return the bills.

    :raises django.db.IntegrityError: a log was counted before, or the payment is booked already.
    """
    chain_id = payment.wallet.chain_id
    models.ProvenTransfer.objects.bulk_create(
        models.ProvenTransfer(
            chain_id=chain_id,
            transaction_hash=receipt.transaction_hash,
            log_index=transfer.log_index,
            block_number=receipt.block_number,
            payment=payment,
            token=words.checksummed(transfer.token),
            sender=words.checksummed(transfer.sender),
            recipient=words.checksummed(transfer.recipient),
            units=transfer.units,
        )
        for transfer in proven.transfers
    )
    bills = _end_payment(payment=payment, is_paid=True, reason="", receipt=receipt, now=now)
    fee_token = payment.fee_token
    book(
        account_id=payment.account_id,
        utility_id=payment.utility_id,
        kind=models.LedgerTransaction.Kind.PAYMENT,
        postings=ledger.payment_made(
            currency=payment.utility.currency,
            amount_cents=payment.amount_cents,
            token=ledger.token_commodity(chain_id=chain_id, address=payment.token.address),
            amount_units=payment.amount_units,
            fee_token=ledger.token_commodity(chain_id=chain_id, address=fee_token.address) if fee_token else None,
            fee_units=payment.fee_units,
            native=ledger.native_commodity(chain_id=chain_id),
            gas_cost_wei=receipt.gas_cost_wei,
        ),
        payment=payment,
        now=now,
    )
    return bills


@db.transaction_required
def fail_payment(
    *, payment: models.Payment, reason: str, receipt: receipts.Receipt | None, now: datetime.datetime
) -> list[models.Bill]:
    """Write that a payment failed: its bills are payable again, and gas that it spent is booked. Return the bills."""
    bills = _end_payment(payment=payment, is_paid=False, reason=reason, receipt=receipt, now=now)
    if receipt is not None:
        native = ledger.native_commodity(chain_id=payment.wallet.chain_id)
        book(
            account_id=payment.account_id,
            utility_id=payment.utility_id,
            kind=models.LedgerTransaction.Kind.GAS,
            postings=ledger.gas_spent(native=native, gas_cost_wei=receipt.gas_cost_wei),
            payment=payment,
            now=now,
        )
    return bills


@db.transaction_required
def book_payouts(
    *,
    utility_id: int,
    operation_id: uuid.UUID,
    chain_id: int,
    token: str,
    paid_units: int,
    receipt: receipts.Receipt,
    now: datetime.datetime,
) -> None:
    """Book what an operation paid out of a program's treasury, and its gas; `paid_units` is 0 when it failed.

    :raises django.db.IntegrityError: the operation is booked already.
    """
    kinds = models.LedgerTransaction.Kind
    book(
        utility_id=utility_id,
        kind=kinds.PAYOUT if paid_units else kinds.PAYOUT_GAS,
        postings=ledger.payouts_made(
            token=ledger.token_commodity(chain_id=chain_id, address=token),
            amount_units=paid_units,
            native=ledger.native_commodity(chain_id=chain_id),
            gas_cost_wei=receipt.gas_cost_wei,
        ),
        operation_id=operation_id,
        now=now,
    )


def _end_payment(
    *,
    payment: models.Payment,
    is_paid: bool,
    reason: str,
    receipt: receipts.Receipt | None,
    now: datetime.datetime,
) -> list[models.Bill]:
    payment.state = models.Payment.State.PAID if is_paid else models.Payment.State.FAILED
    payment.failure = reason[:500]
    payment.settled_at = now
    if receipt is not None:
        payment.transaction_hash = receipt.transaction_hash
        payment.block_number = receipt.block_number
        payment.gas_cost_wei = receipt.gas_cost_wei
    payment.save(update_fields=["state", "failure", "settled_at", "transaction_hash", "block_number", "gas_cost_wei"])
    allocation_states = models.PaymentAllocation.State
    payment.allocations.filter(state=allocation_states.HELD).update(
        state=allocation_states.APPLIED if is_paid else allocation_states.RELEASED
    )
    bills = list(models.Bill.objects.filter(allocations__payment=payment).select_for_update().order_by("pk"))
    for bill in bills:
        bill.state = models.Bill.State.PAID if is_paid else models.Bill.State.ISSUED
        bill.paid_at = now if is_paid else None
        bill.save(update_fields=["state", "paid_at"])
    return bills


def _account(*, utility_id: int, account_id: int | None, posting: ledger.Posting) -> models.LedgerAccount:
    owner = account_id if posting.code in ledger.OF_CUSTOMERS else None
    key = {
        "utility_id": utility_id,
        "code": posting.code.value,
        "commodity": posting.commodity,
        "customer_account_id": owner,
    }
    found = models.LedgerAccount.objects.filter(**key).first()
    if found is not None:
        return found  # type: ignore[no-any-return]
    models.LedgerAccount.objects.bulk_create([models.LedgerAccount(**key)], ignore_conflicts=True)
    return models.LedgerAccount.objects.get(**key)
