"""Approved drafts become bills like those that `issue_bill` writes, once."""

import datetime
import io

import pytest
from django.core import management

from billing import models, queries
from billing.usecases import draft_bills, issue_bill, issue_drafts
from customers import models as customer_models
from meters.domain import units
from notifications import models as notification_models
from tests.factories import customers
from tests.integration.billing.test_draft_bills import APRIL, MARCH, NOW, draft, serve, use, utility

__all__ = ["utility"]


@pytest.fixture
def run(utility: customer_models.Utility) -> models.BillRun:
    """Return a run with a plain, a solar and a business customer drafted; the first has the app."""
    plain = serve(utility)
    customers.AccountAccess.create(account=plain.account)
    solar = serve(utility)
    use(solar, 5, flow=units.Flow.RECEIVED, milli_wh=[1_500_000])
    for seed, agreement in enumerate([plain, solar, serve(utility, "BIZ")]):
        use(agreement, seed)
    return draft(utility)[0]


def approve(run: models.BillRun) -> None:
    issue_drafts.approve_run(run_id=run.pk, user=customers.StaffUser.create(), now=NOW)


def fields(bill: models.Bill) -> list[object]:
    """Return all that a bill says, without what differs between two of the same."""
    lines = [
        [
            getattr(line, field.attname)
            for field in models.BillLine._meta.fields
            if field.attname not in {"id", "bill_id"}
        ]
        for line in bill.lines.all()
    ]
    names = ["source", "starts_on", "ends_on", "time_zone", "currency", "amount_due_cents", "due_on", "state", "rating"]
    return [*(getattr(bill, name) for name in names), lines]


def test_issued_drafts_are_the_bills_that_each_account_alone_would_get(run: models.BillRun) -> None:
    approve(run)

    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 3

    run.refresh_from_db()
    assert run.state == models.BillRun.State.ISSUED
    issued = list(models.Bill.objects.order_by("number"))
    assert [bill.draft.bill_id for bill in issued] == [bill.pk for bill in issued]
    assert all(sum(line.amount_nano for line in bill.lines.all()) == bill.amount_due_cents * 10**7 for bill in issued)
    assert [queries.get_owed_cents(account_id=bill.account_id, currency="USD") for bill in issued] == [
        bill.amount_due_cents for bill in issued
    ]
    assert [notice.data["number"] for notice in notification_models.Notice.objects.all()] == [issued[0].number]
    for bill in issued:
        models.Bill.objects.filter(pk=bill.pk).update(state="cancelled")
        alone = issue_bill.issue_bill(account_id=bill.account_id, starts_on=MARCH, ends_on=APRIL, now=NOW)
        bill.refresh_from_db()
        alone.refresh_from_db()
        bill.state = alone.state
        assert fields(alone) == fields(bill)


def test_issuing_twice_issues_once(run: models.BillRun) -> None:
    approve(run)
    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW, most=2) == 2
    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 1
    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 0
    assert models.Bill.objects.count() == models.LedgerTransaction.objects.count() == 3


def test_nothing_is_issued_that_nobody_approved(run: models.BillRun) -> None:
    with pytest.raises(issue_drafts.UnableToIssueDrafts) as refusal:
        issue_drafts.issue_drafts(run_id=run.pk, now=NOW)
    assert refusal.value.code == "run_is_not_approved"
    assert not models.Bill.objects.exists()


def test_an_approved_run_does_not_change(run: models.BillRun, utility: customer_models.Utility) -> None:
    approve(run)
    for change in (
        lambda: draft(utility),
        lambda: draft_bills.discard_drafts(run_id=run.pk),
        lambda: approve(run),
    ):
        with pytest.raises((draft_bills.UnableToDraftBills, issue_drafts.UnableToIssueDrafts)):
            change()
    assert models.BillDraft.objects.count() == 3


def test_a_draft_that_another_bill_covers_is_left_and_listed(run: models.BillRun) -> None:
    approve(run)
    first = models.BillDraft.objects.order_by("account_id")[0]
    issue_bill.issue_bill(account_id=first.account_id, starts_on=MARCH, ends_on=datetime.date(2026, 3, 20), now=NOW)

    assert issue_drafts.issue_drafts(run_id=run.pk, now=NOW) == 2

    run.refresh_from_db()
    assert run.state == models.BillRun.State.APPROVED
    assert [(row.account_id, row.code) for row in run.exceptions.all()] == [(first.account_id, "period_overlaps")]
    assert models.Bill.objects.filter(account_id=first.account_id).count() == 1


def test_the_commands(run: models.BillRun, utility: customer_models.Utility) -> None:
    days = ["--utility", utility.slug, "--from", "2026-03-01", "--to", "2026-04-01"]
    out = io.StringIO()
    management.call_command("draft_bills", *days, "--again", "--workers", "2", stdout=out)
    assert "3 drafted, 0 of them alone, 0 billed before, 0 impossible." in out.getvalue()
    with pytest.raises(management.CommandError, match="The run is not approved"):
        management.call_command("issue_drafts", *days)
    approve(run)
    management.call_command("issue_drafts", *days, stdout=out)
    assert "3 issued, 0 left as drafts." in out.getvalue()
