"""Credit that a bill leaves is used by the next, once; nothing is asked twice, whatever comes in between."""

import datetime
import os
import threading
from typing import Any

import hypothesis
import numpy as np
import pytest
from django.db import IntegrityError, connection
from django.db.models import Sum
from hypothesis import strategies

from billing import models, operations, queries
from billing.usecases import check_books, draft_bills, issue_bill, issue_drafts, rebill, receive_bill
from customers import models as customer_models
from meters.domain import units
from notifications import models as notification_models
from openvpp.core import db
from tests.factories import customers
from tests.integration.billing.test_draft_bills import APRIL, MARCH, NOW, serve, spans_of, use, utility

__all__ = ["utility"]

CASES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
DAY = datetime.timedelta(days=1)
CHARGES = ("received", "energy", "fixed", "rider", "rounding")


@pytest.fixture
def agreement(utility: customer_models.Utility) -> customer_models.ServiceAgreement:
    """Return service with readings of March, in the name of somebody with the app."""
    made = serve(utility)
    customers.AccountAccess.create(account=made.account)
    use(made, 1)
    return made


def surcharge(agreement: customer_models.ServiceAgreement, day: datetime.date, price: str) -> None:
    """Let a day cost so much beside the tariff: below zero it gives."""
    models.Rider.objects.update_or_create(
        utility=agreement.account.utility,
        code="DAY",
        effective_from=day,
        defaults={
            "name": "Of the day",
            "effective_until": day + DAY,
            "basis": "day",
            "price": price,
            "reason": "Test",
            "entered_at": NOW,
        },
    )


def issue(agreement: customer_models.ServiceAgreement, number: int, price: str = "0") -> models.Bill:
    """Issue the bill of one day of March."""
    day = MARCH + number * DAY
    surcharge(agreement, day, price)
    return issue_bill.issue_bill(account_id=agreement.account_id, starts_on=day, ends_on=day + DAY, now=NOW)


@db.transaction
def give(agreement: customer_models.ServiceAgreement, amount: str, *, is_refunded: bool = False) -> None:
    credit = models.AccountCredit.objects.create(
        account=agreement.account,
        label="Goodwill",
        amount=amount,
        given_on=MARCH,
        is_refunded=is_refunded,
        reason="Outage",
        entered_at=NOW,
    )
    credit.refresh_from_db()
    operations.book_credit(credit=credit, now=NOW)


def receive(agreement: customer_models.ServiceAgreement, number: str, cents: int) -> models.Bill:
    return receive_bill.receive_bill(
        utility_id=agreement.account.utility_id,
        received=receive_bill.Received(
            account_number=agreement.account.number,
            number=number,
            starts_on=MARCH,
            ends_on=APRIL,
            due_on=APRIL,
            currency="USD",
            amount_due_cents=cents,
            lines=[receive_bill.Line(label="Energy", amount_cents=cents)],
        ),
        now=NOW,
    )


def left_cents(agreement: customer_models.ServiceAgreement) -> int:
    """Return the credit that the account may still use, as its rows say."""
    rows = models.AccountCredit.objects.filter(account=agreement.account)
    uses = models.CreditUse.objects.filter(credit__account=agreement.account).exclude(bill__state="cancelled")
    used = uses.aggregate(total=Sum("amount_nano"))["total"] or 0
    return int(sum(row.amount - row.withdrawn for row in rows) * 100) - int(used) // 10**7


def balance(agreement: customer_models.ServiceAgreement, code: str) -> int:
    entries = models.LedgerEntry.objects.filter(account__customer_account=agreement.account, account__code=code)
    return int(entries.aggregate(total=Sum("amount"))["total"] or 0)


def test_the_next_bill_uses_what_the_last_left(agreement: customer_models.ServiceAgreement) -> None:
    first = issue(agreement, 0, "-500")
    second = issue(agreement, 1, "100")
    third = issue(agreement, 2, "900")

    credit = -first.total_cents
    assert (first.amount_due_cents, first.carried_forward_cents) == (0, credit)
    assert second.amount_due_cents == second.total_cents == 0
    assert second.carried_forward_cents == credit - second.brought_forward_cents
    assert third.brought_forward_cents == second.carried_forward_cents
    assert third.carried_forward_cents == 0
    line = third.lines.get(kind="brought_forward")
    assert (line.label, line.amount_nano) == ("Credit brought forward", -third.brought_forward_cents * 10**7)
    charged = sum(row.amount_nano for row in third.lines.exclude(kind="brought_forward")) // 10**7
    assert third.amount_due_cents == charged - third.brought_forward_cents
    assert queries.get_owed_cents(account_id=agreement.account_id, currency="USD") == third.amount_due_cents
    notice = notification_models.Notice.objects.latest("pk")
    assert f"{third.brought_forward_cents / 100:.2f} USD of credit from earlier bills is taken off." in notice.body
    assert notice.data["credit_brought_forward"] == f"{third.brought_forward_cents / 100:.2f}"


def test_arrears_stay_on_their_own_bill(agreement: customer_models.ServiceAgreement) -> None:
    first, second = issue(agreement, 0, "100"), issue(agreement, 1, "50")
    assert not second.lines.filter(kind="brought_forward").exists()
    asked = first.amount_due_cents + second.amount_due_cents
    assert queries.get_owed_cents(account_id=agreement.account_id, currency="USD") == asked


def test_a_received_bill_uses_it_too(agreement: customer_models.ServiceAgreement) -> None:
    receive(agreement, "R-1", -5_000)
    second = receive(agreement, "R-2", 8_000)
    assert (second.total_cents, second.amount_due_cents, second.brought_forward_cents) == (3_000, 3_000, 5_000)
    assert receive(agreement, "R-2", 8_000).pk == second.pk
    assert sum(line.amount_nano for line in second.lines.all()) == 3_000 * 10**7


def test_a_corrected_bill_gives_back_what_it_used(agreement: customer_models.ServiceAgreement) -> None:
    issue(agreement, 0, "-500")
    second = issue(agreement, 1, "100")
    user = customers.StaffUser.create()
    surcharge(agreement, second.starts_on, "50")

    new = rebill.rebill(bill_id=second.pk, reason="Dearer by mistake.", user=user, now=NOW)

    assert second.brought_forward_cents - new.brought_forward_cents == 5_000
    assert left_cents(agreement) == new.carried_forward_cents == -balance(agreement, "customer_credit")


def test_credit_that_was_used_is_charged_when_its_bill_is_corrected(
    agreement: customer_models.ServiceAgreement,
) -> None:
    first = issue(agreement, 0, "-500")
    second = issue(agreement, 1, "100")
    user = customers.StaffUser.create()
    surcharge(agreement, first.starts_on, "0")

    new = rebill.rebill(bill_id=first.pk, reason="It gave nothing.", user=user, now=NOW)

    line = new.lines.get(kind="credit_used")
    assert line.amount_nano == second.brought_forward_cents * 10**7
    assert new.amount_due_cents == new.total_cents == sum(row.amount_nano for row in new.lines.all()) // 10**7
    assert left_cents(agreement) == balance(agreement, "customer_credit") == 0

    surcharge(agreement, second.starts_on, "0")
    again = rebill.rebill(bill_id=second.pk, reason="It cost nothing.", user=user, now=NOW)
    assert again.brought_forward_cents + again.carried_forward_cents == second.brought_forward_cents
    assert left_cents(agreement) == again.carried_forward_cents == -balance(agreement, "customer_credit")


def test_drafts_show_what_issuing_gives(utility: customer_models.Utility) -> None:
    owed, plain = serve(utility), serve(utility)
    use(owed, 1)
    use(plain, 2)
    receive(owed, "R-1", -5_000)
    run, _ = draft_bills.draft_bills(utility_id=utility.pk, starts_on=MARCH, ends_on=APRIL, now=NOW)
    drafted = models.BillDraft.objects.get(account=owed.account)
    assert [line.kind.value for span in spans_of(drafted) for line in span.lines][-1] == "brought_forward"
    issue_drafts.approve_run(run_id=run.pk, user=customers.StaffUser.create(), now=NOW)
    receive(plain, "R-2", -100)  # after the drafts were approved

    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 1

    bill = models.Bill.objects.get(account=owed.account, source="rated")
    assert (bill.amount_due_cents, bill.brought_forward_cents) == (drafted.amount_due_cents, 5_000)
    assert [(row.account_id, row.code) for row in run.exceptions.all()] == [(plain.account_id, "draft_is_stale")]


def test_a_draft_below_zero_leaves_its_credit(utility: customer_models.Utility) -> None:
    solar, plain = serve(utility, "NET"), serve(utility)
    use(solar, 1, milli_wh=np.full(3000, 1000))
    use(solar, 2, flow=units.Flow.RECEIVED, milli_wh=np.full(3000, 900_000))
    use(plain, 3)
    run, progress = draft_bills.draft_bills(utility_id=utility.pk, starts_on=MARCH, ends_on=APRIL, now=NOW)
    assert progress.together == 2
    drafted = models.BillDraft.objects.get(account=solar.account)
    assert drafted.total_cents < 0 == drafted.amount_due_cents
    issue_drafts.approve_run(run_id=run.pk, user=customers.StaffUser.create(), now=NOW)

    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 2

    bill = models.Bill.objects.get(account=solar.account)
    credit = models.AccountCredit.objects.get()
    assert (bill.total_cents, bill.amount_due_cents) == (drafted.total_cents, 0)
    assert (credit.from_bill, credit.amount * 100) == (bill, -drafted.total_cents)
    assert balance(solar, "customer_credit") == bill.total_cents
    assert all(each.holds for each in check_books.check_rows(utility_id=utility.pk))


def test_two_bills_at_once_use_a_credit_once(agreement: customer_models.ServiceAgreement) -> None:
    receive(agreement, "R-1", -5_000)
    gate = threading.Barrier(2)

    def one(number: str) -> None:
        gate.wait()
        try:
            receive(agreement, number, 4_000)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(f"R-{number}",)) for number in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    asked = sorted(models.Bill.objects.filter(total_cents__gte=0).values_list("amount_due_cents", flat=True))
    assert asked == [0, 3_000]
    assert queries.get_owed_cents(account_id=agreement.account_id, currency="USD") == 3_000


def test_the_database_refuses_a_credit_used_twice(agreement: customer_models.ServiceAgreement) -> None:
    credit = receive(agreement, "R-1", -5_000).left_credit
    bill = receive(agreement, "R-2", 9_000)
    other = receive(agreement, "R-3", 9_000)
    with pytest.raises(IntegrityError, match="used beyond what it is"):
        models.CreditUse.objects.create(credit=credit, bill=other, amount_nano=1)
    assert list(models.CreditUse.objects.values_list("bill", "amount_nano")) == [(bill.pk, 5_000 * 10**7)]


STEPS = strategies.lists(
    strategies.one_of(
        strategies.tuples(strategies.just("issue"), strategies.integers(-300, 300)),
        strategies.tuples(strategies.just("receive"), strategies.integers(-300, 300)),
        strategies.tuples(strategies.just("give"), strategies.integers(1, 200)),
        strategies.tuples(strategies.just("refund"), strategies.integers(1, 200)),
        strategies.tuples(strategies.just("pay"), strategies.integers(0, 9)),
        strategies.tuples(strategies.just("correct"), strategies.integers(-300, 300)),
    ),
    min_size=2,
    max_size=8,
)


@hypothesis.given(steps=STEPS)
@hypothesis.settings(
    max_examples=max(10, CASES // 10),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_nothing_is_asked_twice(agreement: customer_models.ServiceAgreement, steps: list[tuple[str, int]]) -> None:
    """Whatever is issued, given, paid and corrected: asked less paid is receivable, unused credit is owed."""
    account = customers.CustomerAccount.create(utility=agreement.account.utility)
    fresh = serve(agreement.account.utility, account=account)
    use(fresh, 1, after=MARCH + 9 * DAY)
    paid_cents, given_cents = _play(fresh, steps)
    bills = models.Bill.objects.filter(account=fresh.account).exclude(state="cancelled")
    asked = sum(bill.amount_due_cents for bill in bills if bill.state == "issued")
    assert balance(fresh, "receivable") - paid_cents == asked
    assert balance(fresh, "customer_credit") == -left_cents(fresh)
    assert left_cents(fresh) >= 0
    charged = sum(line.amount_nano for bill in bills for line in bill.lines.all() if line.kind in CHARGES) // 10**7
    assert charged - given_cents == asked + paid_cents - left_cents(fresh)
    for bill in bills:
        assert sum(line.amount_nano for line in bill.lines.all()) == bill.total_cents * 10**7
    wrong = {each.code for each in check_books.check_rows(utility_id=fresh.account.utility_id) if not each.holds}
    assert wrong <= {"receivable"}  # payments are not booked here
    trial = queries.get_trial_balance(utility_id=fresh.account.utility_id, starts_at=NOW, ends_at=NOW + DAY)
    assert sum(row.opening + row.debits - row.credits for row in trial) == sum(row.closing for row in trial) == 0


def _play(fresh: Any, steps: list[tuple[str, int]]) -> tuple[int, int]:
    paid_cents = given_cents = 0
    user = customers.StaffUser.create()
    for place, (what, number) in enumerate(steps):
        standing = models.Bill.objects.filter(account=fresh.account).exclude(state="cancelled").order_by("number")
        rated = list(standing.filter(source="rated"))
        payable = list(standing.filter(state="issued", amount_due_cents__gt=0))
        if what == "issue":
            issue(fresh, place, str(number))
        elif what == "receive":
            receive(fresh, f"{fresh.account.number}-{place}", number * 100)
        elif what in {"give", "refund"}:
            give(fresh, str(number), is_refunded=what == "refund")
            given_cents += number * 100
        elif what == "pay" and payable:
            bill = payable[number % len(payable)]
            models.Bill.objects.filter(pk=bill.pk).update(state="paid", paid_at=NOW)
            paid_cents += bill.amount_due_cents
        elif what == "correct" and rated:
            bill = rated[number % len(rated)]
            surcharge(fresh, bill.starts_on, str(number))
            rebill.rebill(bill_id=bill.pk, reason="Again.", user=user, now=NOW)
    return paid_cents, given_cents
