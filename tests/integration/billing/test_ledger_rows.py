"""The database itself keeps the books: balanced, within one utility, once for each cause, and never changed."""

import datetime

import pytest
from django import db as django_db
from django.db import connection

from billing import models, operations, queries
from billing.domain import ledger
from customers import models as customer_models
from openvpp.core import db
from tests.factories import billing as factories
from tests.factories import customers

NOW = datetime.datetime(2026, 10, 1, tzinfo=datetime.UTC)
KIND = models.LedgerTransaction.Kind.BILL


@pytest.fixture
def bill(transactional_db: None) -> models.Bill:
    made: models.Bill = factories.Bill.create()
    return made


@db.transaction
def book(bill: models.Bill, *postings: ledger.Posting) -> models.LedgerTransaction | None:
    return operations.book(
        account_id=bill.account_id, utility_id=bill.utility_id, kind=KIND, postings=postings, bill=bill, now=NOW
    )


def test_what_balances_is_booked_and_owed(bill: models.Bill) -> None:
    book(bill, *ledger.bill_issued(currency="USD", billed=ledger.Billed(total_cents=12_345)))
    assert queries.get_balances(utility_id=bill.utility_id) == {
        ("receivable", "USD"): 12_345,
        ("revenue", "USD"): -12_345,
    }
    assert queries.get_owed_cents(account_id=bill.account_id, currency="USD") == 12_345


@pytest.mark.parametrize(
    "postings",
    [
        (ledger.Posting(ledger.Code.RECEIVABLE, "USD", 5),),
        (ledger.Posting(ledger.Code.RECEIVABLE, "USD", 5), ledger.Posting(ledger.Code.REVENUE, "USD", -4)),
        (ledger.Posting(ledger.Code.RECEIVABLE, "USD", 5), ledger.Posting(ledger.Code.REVENUE, "EUR", -5)),
    ],
)
def test_what_does_not_balance_is_not_kept(bill: models.Bill, postings: tuple[ledger.Posting, ...]) -> None:
    with pytest.raises(django_db.IntegrityError, match="does not balance"):
        book(bill, *postings)
    assert not models.LedgerTransaction.objects.exists()
    assert not models.LedgerEntry.objects.exists()


def test_a_booking_without_entries_is_not_kept(bill: models.Bill) -> None:
    with pytest.raises(django_db.IntegrityError, match="has no entries"):
        models.LedgerTransaction.objects.create(utility=bill.utility, kind=KIND, bill=bill, booked_at=NOW)


@db.transaction
def book_elsewhere(bill: models.Bill, elsewhere: customer_models.Utility) -> None:
    booking = models.LedgerTransaction.objects.create(utility=bill.utility, kind=KIND, bill=bill, booked_at=NOW)
    account = models.LedgerAccount.objects.create(utility=elsewhere, code="revenue", commodity="USD")
    for amount in (5, -5):
        models.LedgerEntry.objects.create(transaction=booking, account=account, amount=amount)


def test_a_booking_stays_in_one_utility(bill: models.Bill) -> None:
    other = customers.Utility.create()
    with pytest.raises(django_db.IntegrityError, match="another utility"):
        book_elsewhere(bill, other)
    assert not models.LedgerEntry.objects.exists()


def test_a_bill_is_booked_once(bill: models.Bill) -> None:
    postings = ledger.bill_issued(currency="USD", billed=ledger.Billed(total_cents=1))
    book(bill, *postings)
    with pytest.raises(django_db.IntegrityError, match="ledger_bill_booked_once"):
        book(bill, *postings)
    assert models.LedgerEntry.objects.count() == 2


def test_nothing_is_booked_for_nothing(bill: models.Bill) -> None:
    assert book(bill, *ledger.bill_issued(currency="USD", billed=ledger.Billed(total_cents=0))) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_ledgerentry SET amount = amount + 1",
        "DELETE FROM billing_ledgerentry",
        "UPDATE billing_ledgertransaction SET booked_at = now()",
        "DELETE FROM billing_ledgertransaction",
        "UPDATE billing_billline SET amount_nano = 0",
        "DELETE FROM billing_billline",
    ],
)
def test_what_is_written_stays(bill: models.Bill, statement: str) -> None:
    factories.BillLine.create(bill=bill)
    book(bill, *ledger.bill_issued(currency="USD", billed=ledger.Billed(total_cents=12_345)))
    with pytest.raises(django_db.IntegrityError, match="append only"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert queries.get_owed_cents(account_id=bill.account_id, currency="USD") == 12_345
