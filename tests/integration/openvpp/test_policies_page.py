"""The page that says why an operation would be allowed or refused: who opens it, and what each rule says."""

from typing import Any

import pytest
from django import test

from customers import models as customer_models
from tests.factories import customers, wallets
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/desk/policies/"


@pytest.fixture
def wallet() -> models.Wallet:
    made: models.Wallet = wallets.Wallet.create()
    customers.AcceptedToken.create(utility=made.utility)
    return made


def staff(wallet: models.Wallet, role: str) -> test.Client:
    browser = test.Client()
    browser.force_login(customers.StaffRole.create(utility=wallet.utility, role=role).user)
    return browser


def wish(wallet: models.Wallet, **changes: Any) -> dict[str, Any]:
    token = customer_models.AcceptedToken.objects.get(utility=wallet.utility)
    return {
        "wallet": wallet.address,
        "action": "billing.payment",
        "payees": wallet.utility.treasury_address,
        "token": token.address,
        "amount": "12.50",
    } | changes


@pytest.mark.parametrize("role", ["csr", "program_manager", "administrator"])
def test_staff_see_what_each_rule_says(wallet: models.Wallet, role: str) -> None:
    browser = staff(wallet, role)
    assert browser.get(PAGE).status_code == 200
    allowed = browser.get(PAGE, wish(wallet)).content.decode()
    assert "Allowed by the utility policy 0, customers pay their bills." in allowed
    assert "programs pay customers" in allowed
    refused = browser.get(PAGE, wish(wallet, payees="0x" + "12" * 20)).content.decode()
    assert "<code>no_rule_allows</code>" in refused
    assert not models.Operation.objects.exists()


def test_strangers_customers_and_other_utilities_staff_see_nothing(wallet: models.Wallet) -> None:
    assert test.Client().get(PAGE).status_code == 302
    customer = test.Client()
    assert wallet.customer is not None
    assert wallet.customer.user is not None
    customer.force_login(wallet.customer.user)
    assert customer.get(PAGE).status_code in {302, 403}
    other = staff(wallets.Wallet.create(), "csr").get(PAGE, wish(wallet)).content.decode()
    assert "There is no such wallet at your utilities." in other
    assert "customers pay their bills" not in other


def test_what_is_no_wish_is_said_so(wallet: models.Wallet) -> None:
    text = staff(wallet, "csr").get(PAGE, wish(wallet, payees="nobody", amount="-1")).content.decode()
    assert "Enter a valid value." in text
    assert "Ensure this value is greater than or equal to 0." in text
    assert "The difference" not in text
