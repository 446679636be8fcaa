"""Staff see an account's comparison, forecast and explanation on one page, with pictures that speak."""

import datetime

import pytest
from django import test

from billing.domain import rating
from billing.usecases import explain_bill, forecast_bill
from customers import models as customer_models
from tests.factories import customers
from tests.integration.billing import test_desk as desk
from tests.integration.billing import test_issue_bill as bills

agreement = bills.agreement
PATH = "/admin/billing/bill/understand/"


def page(client: test.Client, number: str = "") -> str:
    answer = client.get(PATH, {"account": number})
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_four_callers(agreement: customer_models.ServiceAgreement) -> None:
    number = agreement.account.number
    assert test.Client().get(PATH, {"account": number}).status_code == 302
    assert desk.staff(agreement.account.utility, "program_manager").get(PATH).status_code == 403
    other = page(desk.staff(customers.Utility.create(), "csr"), number)
    assert "There is no account of this number." in other
    assert "RES-TOU" not in other
    assert "There is no account" not in page(desk.staff(agreement.account.utility, "csr"), number)


def test_pictures_and_words(agreement: customer_models.ServiceAgreement) -> None:
    middle = datetime.date(2012, 4, 16)
    bills.issue(agreement, bills.FIRST, middle)
    bills.issue(agreement, middle, bills.AFTER)
    shown = page(desk.staff(agreement.account.utility, "csr"), agreement.account.number)
    assert "<title>What each tariff would have cost in USD: RES-TOU 470.02</title>" in shown
    assert "Why the bill changed, in USD: usage " in shown
    assert "1 whole month of the account&#x27;s own readings" in shown or "1 whole month of the account's" in shown
    assert "nothing was read in this bill or the two weeks before it" in shown


def test_an_account_with_nothing(agreement: customer_models.ServiceAgreement) -> None:
    empty = customers.CustomerAccount.create(utility=agreement.account.utility)
    shown = page(desk.staff(agreement.account.utility, "auditor"), empty.number)
    assert "The account takes no service." in shown
    assert "There is no bill yet." in shown
    assert "<svg class=" not in shown.split("Which tariff would have cost less")[1]


def test_what_cannot_be_computed_is_said(
    agreement: customer_models.ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    bills.issue(agreement)

    def refuse(**_kwargs: object) -> None:
        raise rating.UnableToRate("The readings overlap at noon.")

    def fail(**_kwargs: object) -> None:
        raise ZeroDivisionError("no days")

    monkeypatch.setattr(explain_bill, "explain", refuse)
    monkeypatch.setattr(forecast_bill, "forecast_bill", fail)
    shown = page(desk.staff(agreement.account.utility, "csr"), agreement.account.number)
    assert "The readings overlap at noon." in shown
    assert "This could not be computed: no days" in shown
    assert "What each tariff would have cost in USD: RES-TOU 470.02" in shown
