"""The CSR's desk: who finds whom, and what the page says when the chain is away."""

# mypy: disable-error-code="arg-type,attr-defined,no-untyped-call,assignment"

from typing import Any

import pytest
from django.db import connection
from django.test import Client, utils

from customers import models as customer_models
from openvpp.core import errors
from tests.factories import billing as bill_factories
from tests.factories import customers as factories
from tests.factories import wallets as wallet_factories
from wallets import queries as wallets

Role = customer_models.StaffRole.Role
pytestmark = pytest.mark.django_db(transaction=True)
SEARCH = "/admin/desk/"


def page(client: Client, user: Any, path: str, **query: str) -> Any:
    if user is not None:
        client.force_login(user)
    return client.get(path, query)


@pytest.fixture
def ada() -> customer_models.Customer:
    """Ada Moreno of one utility: an account, a premise, a meter and a wallet."""
    utility = factories.Utility(name="Harbor Light")
    customer: customer_models.Customer = factories.Customer(
        utility=utility, name="Ada Moreno", email="ada.m@example.com", user__email="signin@example.com"
    )
    account = factories.CustomerAccount(utility=utility, number="HL-100001")
    factories.AccountAccess(account=account, customer=customer)
    point = factories.ServicePoint(premise__utility=utility, premise__street="12 Wharf Lane")
    factories.ServiceAgreement(account=account, service_point=point)
    factories.MeterInstallation(service_point=point, serial="HLM-440001")
    bill_factories.Bill(account=account, utility=utility, number="B-77", amount_due_cents=8412)
    wallet_factories.Wallet(customer=customer, utility=utility)
    return customer


@pytest.fixture
def chain_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        raise errors.Unreachable("no node")

    monkeypatch.setattr(wallets, "get_balances", fail)


def staff(utility: customer_models.Utility, role: str = Role.CSR) -> Any:
    return factories.StaffRole(utility=utility, role=role).user


@pytest.mark.parametrize("text", ["moreno", "ADA.M@", "signin@example", "HL-1000", "hlm-440001"])
def test_a_customer_is_found_by_name_email_account_or_meter(
    client: Client, ada: customer_models.Customer, text: str
) -> None:
    answer = page(client, staff(ada.utility), SEARCH, q=text)

    assert answer.status_code == 200
    assert [customer.pk for customer in answer.context["found"]] == [ada.pk]
    assert "12 Wharf Lane" in answer.content.decode()


@pytest.mark.parametrize("text", ["", "a", "100001", "%", "__", "nobody"])
def test_what_is_like_nothing_finds_nobody(client: Client, ada: customer_models.Customer, text: str) -> None:
    assert page(client, staff(ada.utility), SEARCH, q=text).context["found"] == []


def test_found_customers_are_bounded(client: Client) -> None:
    utility = factories.Utility()
    factories.Customer.create_batch(27, utility=utility, name="Same Name")

    answer = page(client, staff(utility), SEARCH, q="same")

    assert len(answer.context["found"]) == 25
    assert "Only the first 25 are shown" in answer.content.decode()


def test_callers_of_the_search(client: Client, ada: customer_models.Customer) -> None:
    other_csr = staff(factories.Utility())
    assert page(client, None, SEARCH, q="moreno").status_code == 302
    assert page(client, ada.user, SEARCH, q="moreno").status_code == 302
    assert page(client, staff(ada.utility, Role.PROGRAM_MANAGER), SEARCH, q="moreno").status_code == 403
    assert page(client, other_csr, SEARCH, q="moreno").context["found"] == []
    for role in (Role.CSR, Role.BILLING_ANALYST, Role.AUDITOR, Role.ADMINISTRATOR):
        assert len(page(client, staff(ada.utility, role), SEARCH, q="moreno").context["found"]) == 1


@pytest.mark.usefixtures("chain_away")
def test_callers_of_the_page(client: Client, ada: customer_models.Customer) -> None:
    path = f"/admin/desk/customers/{ada.pk}/"

    assert page(client, None, path).status_code == 302
    assert page(client, ada.user, path).status_code == 302
    assert page(client, staff(ada.utility, Role.PROGRAM_MANAGER), path).status_code == 403
    assert page(client, staff(factories.Utility()), path).status_code == 404
    assert page(client, staff(ada.utility), path).status_code == 200


@pytest.mark.usefixtures("chain_away")
def test_the_page_works_while_the_chain_is_away(client: Client, ada: customer_models.Customer) -> None:
    shown = page(client, staff(ada.utility), f"/admin/desk/customers/{ada.pk}/").content.decode()

    assert "The chain does not answer now" in shown
    for words in ("12 Wharf Lane", "HLM-440001", "HL-100001", "B-77", "84.12 USD", ada.wallet.address):
        assert words in shown


def test_the_page_shows_balances(
    client: Client, ada: customer_models.Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = factories.AcceptedToken(utility=ada.utility)
    held = wallets.Balances(native_wei=0, tokens=(wallets.Balance(token=token, units=1_234_567_890),))
    monkeypatch.setattr(wallets, "get_balances", lambda **_: held)

    shown = page(client, staff(ada.utility), f"/admin/desk/customers/{ada.pk}/").content.decode()

    assert "1,234.56789" in shown


@pytest.mark.usefixtures("chain_away")
def test_the_page_asks_the_database_a_bounded_number_of_times(client: Client, ada: customer_models.Customer) -> None:
    account = ada.accesses.get().account
    for number in range(10):
        bill_factories.Bill(account=account, utility=ada.utility, number=f"B-{number}")
    user = staff(ada.utility)

    with utils.CaptureQueriesContext(connection) as asked:
        page(client, user, f"/admin/desk/customers/{ada.pk}/")

    assert len(asked) < 60


def test_the_sidebar_offers_only_what_opens(client: Client) -> None:
    utility = factories.Utility()

    csr = page(client, staff(utility), SEARCH).content.decode()
    manager = page(client, staff(utility, Role.PROGRAM_MANAGER), "/admin/").content.decode()

    assert "Find a customer" in csr
    assert "/admin/relayer/bundle/" not in csr
    assert "Find a customer" not in manager
    assert "/admin/programs/event/" in manager


def test_the_first_page_shows_what_a_role_opens(client: Client) -> None:
    utility = factories.Utility()

    csr = page(client, staff(utility), "/admin/").context
    manager = page(client, staff(utility, Role.PROGRAM_MANAGER), "/admin/").context
    nobody = page(client, factories.StaffUser(), "/admin/")

    assert csr["may_open_desk"]
    assert not manager["may_open_desk"]
    assert "Programs" in [door["title"] for door in manager["doors"]]
    assert "You have no role at any utility yet" in nobody.content.decode()
