"""Staff keep riders, taxes and discounts: by role and utility, with a reason, previewed before they are saved."""

import datetime
from typing import Any

import pytest
from django import test
from django.contrib.admin import models as admin_models

from billing import models
from customers import models as customer_models
from tests.factories import customers
from tests.integration.billing import test_adjusted_bill as adjusted
from tests.integration.billing import test_desk as desk
from tests.integration.billing import test_issue_bill as bills

agreement = bills.agreement
PAGES = [
    "rider",
    "tax",
    "jurisdiction",
    "taxedplace",
    "discountprogram",
    "discountenrollment",
    "taxexemption",
    "budgetplan",
    "prepayplan",
    "accountcredit",
    "prepaiddeposit",
]
SHARED = {"code": "STORM", "name": "Storm recovery", "effective_from": "2012-01-01", "price": "0.01", "percent": "0"}
ENROLLMENT = {"program_code": "CARE", "proof": "Letter 7", "proven_on": "2012-01-01", "starts_on": "2012-01-01"}


def typed(utility: customer_models.Utility, **fields: Any) -> dict[str, Any]:
    own = {"utility": utility.pk, "basis": "kwh", "measure": "billed", "reason": "Order 12-34", "bases": ["energy"]}
    return SHARED | own | fields


@pytest.mark.parametrize("page", PAGES)
def test_four_callers(agreement: customer_models.ServiceAgreement, page: str) -> None:
    utility = agreement.account.utility
    path = f"/admin/billing/{page}/"
    assert test.Client().get(path).status_code == 302
    assert desk.staff(utility, "program_manager").get(path).status_code == 403
    assert desk.staff(utility, "auditor").get(path).status_code == 200
    assert desk.staff(utility, "auditor").get(f"{path}add/").status_code == 403
    assert desk.staff(utility, "billing_analyst").get(f"{path}add/").status_code == 200


def test_an_analyst_adds_a_rider_with_a_reason(agreement: customer_models.ServiceAgreement) -> None:
    utility = agreement.account.utility
    analyst, path = desk.staff(utility, "billing_analyst"), "/admin/billing/rider/add/"
    assert analyst.post(path, typed(utility, reason="")).status_code == 200
    assert not models.Rider.objects.exists()
    assert analyst.post(path, typed(utility)).status_code == 302
    made = models.Rider.objects.get()
    assert (made.reason, made.entered_by is not None, made.bases) == ("Order 12-34", True, ["energy"])
    assert admin_models.LogEntry.objects.get().change_message == "Added: Order 12-34"
    assert bills.issue(agreement).lines.get(kind="rider").amount_nano == 22_153_480_000


def test_a_rider_of_another_utility(agreement: customer_models.ServiceAgreement) -> None:
    other = customers.Utility.create()
    analyst = desk.staff(agreement.account.utility, "billing_analyst")
    assert analyst.post("/admin/billing/rider/add/", typed(other)).status_code == 200
    assert not models.Rider.objects.exists()
    theirs = adjusted.rider(other)
    assert analyst.get(f"/admin/billing/rider/{theirs.pk}/change/").status_code == 302


def test_a_version_is_ended_and_not_rewritten(agreement: customer_models.ServiceAgreement) -> None:
    utility = agreement.account.utility
    made = adjusted.rider(utility)
    analyst, path = desk.staff(utility, "billing_analyst"), f"/admin/billing/rider/{made.pk}/change/"
    end = {"effective_until": "2012-04-16", "price": "9"}
    assert "Say why" in analyst.post(path, end | {"reason": made.reason}).content.decode()
    assert analyst.post(path, end | {"reason": "Order 99"}).status_code == 302
    made.refresh_from_db()
    assert (str(made.price), made.effective_until) == ("0.010000000", datetime.date(2012, 4, 16))
    message = admin_models.LogEntry.objects.latest("pk").change_message
    assert message == "Changed to effective_until 2012-04-16: Order 99"


def test_customer_service_enrolls_and_does_not_set_prices(agreement: customer_models.ServiceAgreement) -> None:
    utility = agreement.account.utility
    csr = desk.staff(utility, "csr")
    assert csr.post("/admin/billing/rider/add/", typed(utility)).status_code == 403
    body = ENROLLMENT | {"account": agreement.account_id, "reason": "Proof was shown"}
    assert csr.post("/admin/billing/discountenrollment/add/", body).status_code == 302
    assert models.DiscountEnrollment.objects.get().account == agreement.account
    foreign = body | {"account": customers.CustomerAccount.create().pk, "program_code": "MED"}
    assert csr.post("/admin/billing/discountenrollment/add/", foreign).status_code in {200, 403}
    assert models.DiscountEnrollment.objects.count() == 1


@pytest.mark.parametrize(
    ("page", "fields", "then"),
    [
        ("rider", {}, "492.17"),
        ("discountprogram", {"basis": "day", "price": "1"}, "440.02"),
        ("tax", {"basis": "kwh", "price": "0.02", "stage": "1"}, "514.32"),
    ],
)
def test_a_rule_is_seen_on_the_last_bill_before_it_is_saved(
    agreement: customer_models.ServiceAgreement, page: str, fields: dict[str, str], then: str
) -> None:
    utility = agreement.account.utility
    bills.issue(agreement)
    body = typed(utility, **fields) | {"_preview": "1", "preview_account": agreement.account.number}
    if page == "tax":
        place = models.Jurisdiction.objects.create(utility=utility, code="CITY", name="City")
        adjusted.enter(
            models.TaxedPlace,
            jurisdiction=place,
            service_point=agreement.service_point,
            starts_on=datetime.date(2012, 1, 1),
        )
        body["jurisdiction"] = place.pk
    answer = desk.staff(utility, "billing_analyst").post(f"/admin/billing/{page}/add/", body)
    shown = " ".join(answer.content.decode().split())
    assert f"470.02 now, {then} with this rule on all its days." in shown
    assert "Nothing is saved yet" in shown
    assert not models.Rider.objects.exists()
    assert not models.Tax.objects.exists()
    assert not models.DiscountProgram.objects.exists()
    assert models.Bill.objects.get().amount_due_cents == 47_002


@pytest.mark.parametrize(("account", "words"), [("", "Say on whose last bill"), ("X-9", "There is no account X-9")])
def test_a_preview_that_cannot_be_made(agreement: customer_models.ServiceAgreement, account: str, words: str) -> None:
    utility = agreement.account.utility
    body = typed(utility) | {"_preview": "1", "preview_account": account}
    answer = desk.staff(utility, "billing_analyst").post("/admin/billing/rider/add/", body)
    assert words in answer.content.decode()
    assert not models.Rider.objects.exists()
    no_bill = body | {"preview_account": agreement.account.number}
    answer = desk.staff(utility, "billing_analyst").post("/admin/billing/rider/add/", no_bill)
    assert "has no bill that was rated here" in answer.content.decode()


def test_a_rule_that_cannot_be(agreement: customer_models.ServiceAgreement) -> None:
    utility = agreement.account.utility
    body = typed(utility, basis="percent", percent="5", bases=["tax"])
    answer = desk.staff(utility, "billing_analyst").post("/admin/billing/rider/add/", body)
    assert "STORM cannot be taken of tax" in answer.content.decode()
    assert not models.Rider.objects.exists()
