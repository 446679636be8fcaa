"""Drafts of accounts with rules of the utility's own, or with an open question, and the bills that come of them."""

import datetime
import multiprocessing
import os
import signal
from typing import Any

import pytest
from django.db import connections

from billing import models
from billing.usecases import issue_bill, issue_drafts
from customers import models as customer_models
from meters import models as meter_models
from tests.factories import customers
from tests.integration.billing.test_adjusted_bill import rider, tax
from tests.integration.billing.test_draft_bills import APRIL, MARCH, NOW, check_same, draft, serve, use, utility
from tests.integration.billing.test_issue_drafts import approve, fields

__all__ = ["utility"]

YEAR = datetime.date(2025, 1, 1)
WHO: dict[str, Any] = {"reason": "Order 12-34", "entered_at": NOW}


@pytest.fixture
def ruled(utility: customer_models.Utility) -> list[customer_models.ServiceAgreement]:
    """Return accounts with a rider each and then: nothing more, a tax, a credit, a budget plan."""
    made = [serve(utility) for _ in range(4)]
    for seed, agreement in enumerate(made):
        use(agreement, seed)
    rider(utility)
    tax(made[1])
    models.AccountCredit.objects.create(**WHO, account=made[2].account, label="Outage", amount="12.34", given_on=MARCH)
    models.BudgetPlan.objects.create(
        **WHO, account=made[3].account, starts_on=YEAR, instalment="80", settlement_month=12
    )
    return made


def test_drafts_with_rules_are_the_bills_that_each_account_alone_would_get(
    ruled: list[customer_models.ServiceAgreement], utility: customer_models.Utility
) -> None:
    run, progress = draft(utility)

    assert (progress.together, progress.alone, progress.impossible) == (4, 0, 0)
    check_same(run)
    approve(run)
    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 4
    issued = [models.Bill.objects.get(account=agreement.account) for agreement in ruled]
    kinds = [set(bill.lines.values_list("kind", flat=True)) & {"rider", "tax", "credit", "budget"} for bill in issued]
    assert kinds == [{"rider"}, {"rider", "tax"}, {"rider", "credit"}, {"rider", "budget"}]
    for bill in issued:
        assert sum(line.amount_nano for line in bill.lines.all()) == bill.amount_due_cents * 10**7
        models.Bill.objects.filter(pk=bill.pk).update(state="cancelled")
        alone = issue_bill.issue_bill(account_id=bill.account_id, starts_on=MARCH, ends_on=APRIL, now=NOW)
        bill.refresh_from_db()
        alone.refresh_from_db()
        bill.state = alone.state
        assert fields(alone) == fields(bill)


def test_credits_used_since_leave_the_draft(
    ruled: list[customer_models.ServiceAgreement], utility: customer_models.Utility
) -> None:
    run, _ = draft(utility)
    models.AccountCredit.objects.create(**WHO, account=ruled[2].account, label="Second", amount="1", given_on=MARCH)
    approve(run)

    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 3

    assert [(row.account_id, row.code) for row in run.exceptions.all()] == [(ruled[2].account_id, issue_drafts.STALE)]
    assert not models.Bill.objects.filter(account=ruled[2].account).exists()
    assert not models.CreditUse.objects.exists()


def test_a_point_in_question_is_listed_and_drafted_once_answered(utility: customer_models.Utility) -> None:
    asked, plain = serve(utility), serve(utility)
    for seed, agreement in enumerate([asked, plain]):
        use(agreement, seed)
    question = meter_models.MeterException.objects.create(
        utility=utility,
        service_point=asked.service_point,
        kind="spike",
        is_blocking=True,
        starts_at=datetime.datetime(2026, 3, 20, tzinfo=datetime.UTC),
        ends_at=datetime.datetime(2026, 3, 20, 1, tzinfo=datetime.UTC),
        found_at=NOW,
    )

    run, progress = draft(utility)

    assert (progress.together, progress.impossible) == (1, 1)
    assert [(row.account_id, row.code) for row in run.exceptions.all()] == [(asked.account_id, "readings_in_question")]
    assert [row.account_id for row in run.drafts.all()] == [plain.account_id]
    question.state = "settled"
    question.save()
    assert draft(utility)[1].together == 1
    assert not run.exceptions.exists()


def issue_and_die(run_id: int) -> None:
    """Issue one account a transaction, and die by SIGKILL with the second one's rows written, not committed."""
    connections.close_all()
    issue_drafts.SIZE = 1
    write, calls = issue_drafts._write_exceptions, []

    def die(**kwargs: Any) -> None:
        write(**kwargs)
        calls.append(1)
        if len(calls) > 1:
            os.kill(os.getpid(), signal.SIGKILL)

    issue_drafts._write_exceptions = die
    issue_drafts.issue_drafts(run_id=run_id, now=NOW)


def test_a_killed_run_goes_on_and_issues_each_once(utility: customer_models.Utility) -> None:
    made = [serve(utility) for _ in range(3)]
    for seed, agreement in enumerate(made):
        use(agreement, seed)
        customers.AccountAccess.create(account=agreement.account)
    run, _ = draft(utility)
    approve(run)
    connections.close_all()
    process = multiprocessing.get_context("fork").Process(target=issue_and_die, args=[run.pk])
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert models.Bill.objects.count() == models.LedgerTransaction.objects.count() == 1
    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 2
    assert sorted(models.Bill.objects.values_list("account_id", flat=True)) == [each.account_id for each in made]
    assert models.LedgerTransaction.objects.count() == 3
    assert models.LedgerEntry.objects.count() == 6
    run.refresh_from_db()
    assert run.state == models.BillRun.State.ISSUED
