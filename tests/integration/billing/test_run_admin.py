"""Runs and corrections in the admin: seen by staff of the utility, decided by its analysts, by name."""

import pytest
from django import test

from billing import models
from billing.usecases import issue_bill
from customers import models as customer_models
from openvpp.core import clock, jobs
from tests.factories import customers
from tests.integration.billing.test_draft_bills import APRIL, MARCH, NOW, draft, serve, use, utility

__all__ = ["utility"]


def staff(utility: customer_models.Utility, role: str) -> test.Client:
    client = test.Client()
    client.force_login(customers.StaffRole.create(utility=utility, role=role).user)
    return client


@pytest.fixture
def run(utility: customer_models.Utility) -> models.BillRun:
    """Return a run of one draft and one account without readings."""
    use(serve(utility), 1)
    serve(utility)
    return draft(utility)[0]


def test_an_analyst_looks_approves_and_a_worker_issues(run: models.BillRun, utility: customer_models.Utility) -> None:
    analyst = staff(utility, "billing_analyst")
    drafted = run.drafts.get()

    page = analyst.get(f"/admin/billing/billrun/{run.pk}/change/").content.decode()
    amount = f"{drafted.amount_due_cents / 100:.2f} USD"
    assert amount in page
    assert "load_has_gaps" in page
    assert "RES" in page
    assert "Energy" in analyst.get(f"/admin/billing/billdraft/{drafted.pk}/change/").content.decode()

    path = f"/admin/billing/billrun/{run.pk}/approve/"
    assert analyst.post(path).status_code == 200
    run.refresh_from_db()
    assert run.state == "drafted"
    assert analyst.post(path, {"is_looked_at": "on"}).status_code == 302
    run.refresh_from_db()
    assert (run.state, run.approved_by.staff_roles.get().role) == ("approved", "billing_analyst")

    jobs.run_due(now=clock.get_now())
    assert models.Bill.objects.get().amount_due_cents == drafted.amount_due_cents


@pytest.mark.parametrize("role", ["csr", "auditor"])
def test_others_look_and_decide_nothing(run: models.BillRun, utility: customer_models.Utility, role: str) -> None:
    client = staff(utility, role)
    assert client.get(f"/admin/billing/billrun/{run.pk}/change/").status_code == 200
    assert client.post(f"/admin/billing/billrun/{run.pk}/approve/", {"is_looked_at": "on"}).status_code == 403
    run.refresh_from_db()
    assert run.state == "drafted"


def test_another_utility_sees_nothing(run: models.BillRun) -> None:
    stranger = staff(customers.Utility.create(), "administrator")
    assert stranger.get(f"/admin/billing/billrun/{run.pk}/change/").status_code == 302
    assert stranger.post(f"/admin/billing/billrun/{run.pk}/approve/", {"is_looked_at": "on"}).status_code == 403
    run.refresh_from_db()
    assert run.state == "drafted"


def test_a_bill_is_corrected_with_a_reason(utility: customer_models.Utility) -> None:
    agreement = serve(utility)
    use(agreement, 1)
    old = issue_bill.issue_bill(account_id=agreement.account_id, starts_on=MARCH, ends_on=APRIL, now=NOW)
    analyst = staff(utility, "billing_analyst")

    assert analyst.post(f"/admin/billing/bill/{old.pk}/correct/", {"reason": " "}).status_code == 200
    assert models.Bill.objects.count() == 1
    assert analyst.post(f"/admin/billing/bill/{old.pk}/correct/", {"reason": "Asked for."}).status_code == 302

    new = models.Bill.objects.exclude(pk=old.pk).get()
    assert (new.corrects, new.correction_reason) == (old, "Asked for.")
    assert staff(utility, "csr").post(f"/admin/billing/bill/{new.pk}/correct/", {"reason": "No."}).status_code == 403
    assert models.Bill.objects.count() == 2
