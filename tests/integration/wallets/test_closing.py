"""Who may close an account, by the API, the page and the desk; what stands against it, and that nothing moves then."""

import datetime
import json
from typing import Any

import pytest
from django import db as django_db
from django import test

from custody import models as custody_models
from custody import operations as custody
from custody.domain import consents
from customers import models as customer_models
from notifications import models as notice_models
from openvpp.core import clock
from tests.factories import billing, customers, programs, wallets
from wallets import models, queries
from wallets.api import step_up

pytestmark = pytest.mark.django_db(transaction=True)
PATH, PAGE = "/api/v1/me/closing/", "/accounts/closing/"
SEND_TO = "0x8ba1f109551bD432803012645Ac136ddd64DBA72"


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the wallet holds of each token."""
    found: list[int] = []
    monkeypatch.setattr(queries, "get_units", lambda *, tokens, **_: (found or [0]) * len(tokens))
    monkeypatch.setattr(step_up, "require_fresh", lambda **_: None)
    return found


@pytest.fixture
def wallet() -> models.Wallet:
    made: models.Wallet = wallets.Wallet.create()
    customers.AcceptedToken.create(utility=made.utility)
    return made


def user_of(wallet: models.Wallet) -> customer_models.User:
    assert wallet.customer is not None
    assert wallet.customer.user is not None
    return wallet.customer.user


def call(method: str, token: Any, **body: str) -> Any:
    headers = {} if token is None else wallets.bearer(token=token)
    sent = json.dumps(body) if method == "post" else ""
    return getattr(test.Client(), method)(PATH, sent, content_type="application/json", headers=headers)


def token(wallet: models.Wallet, user: Any = None, scope: str = "account:read account:write") -> Any:
    application = wallets.Application.create(utility=wallet.utility)
    return wallets.AccessToken.create(application=application, user=user or user_of(wallet), scope=scope)


def test_four_callers(wallet: models.Wallet) -> None:
    stranger, reader = wallets.Wallet.create(), token(wallet, scope="account:read")
    for method in ("get", "post", "delete"):
        assert call(method, None).status_code == 401
        assert call(method, token(wallet, scope="bills:read")).status_code == 403
        assert call(method, token(wallet, user_of(stranger))).status_code == 404
    assert call("post", reader).status_code == call("delete", reader).status_code == 403
    assert not customer_models.Closing.objects.exists()
    asked = call("post", token(wallet))
    assert (asked.status_code, asked.json()["state"], asked.json()["send_to"]) == (202, "announced", None)
    row = customer_models.Closing.objects.get()
    assert row.closes_at - row.created_at == datetime.timedelta(days=7)
    assert call("get", reader).json()["id"] == str(row.pk)
    assert call("post", token(wallet)).json()["code"] == "closing_open"
    assert call("delete", token(wallet)).json()["state"] == "cancelled"
    assert call("delete", token(wallet)).json()["code"] == "no_closing"
    told = notice_models.Notice.objects.filter(user=user_of(wallet)).order_by("sequence")
    assert [(each.kind, each.data["what"]) for each in told] == [
        ("account.closing", "announced"),
        ("account.closing", "cancelled"),
    ]


def test_a_token_alone_closes_nothing(wallet: models.Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert call("post", token(wallet)).json()["code"] == "step_up_required"
    assert not customer_models.Closing.objects.exists()


def test_what_stands_against_it_is_named_and_nothing_moves(wallet: models.Wallet, held: list[int]) -> None:
    account = customers.CustomerAccount.create(utility=wallet.utility)
    customers.AccountAccess.create(customer=wallet.customer, account=account)
    bill = billing.Bill.create(account=account, utility=wallet.utility)
    enrollment = programs.Enrollment.create(customer=wallet.customer)
    held.append(7)
    refused = call("post", token(wallet))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_yet")
    assert [each["code"] for each in refused.json()["obstacles"]] == ["bill_open", "enrolled", "balance_left"]
    assert bill.number in refused.json()["detail"]
    assert enrollment.program.name in refused.json()["detail"]
    assert not customer_models.Closing.objects.exists()
    assert not custody_models.Consent.objects.exists()
    assert call("post", token(wallet), send_to="0x12").json()["code"] == "no_such_address"


def test_the_wish_counts_from_the_moment_it_is_recorded(wallet: models.Wallet) -> None:
    terms = {"type": consents.CLOSING, "wallet": wallet.address, "send_to": SEND_TO, "closing_id": "1"}
    with pytest.raises(django_db.IntegrityError, match="counts from now"):
        custody.record_consent(
            key_id=wallet.owner_key_id, terms=terms, now=clock.get_now() - datetime.timedelta(days=8)
        )
    assert call("post", token(wallet), send_to=SEND_TO).status_code == 202
    assert custody_models.Consent.objects.get().terms["send_to"] == SEND_TO
    assert call("delete", token(wallet)).status_code == 200
    assert custody_models.Consent.objects.filter(terms__type=consents.CLOSING_CALLED_OFF).count() == 1


def test_the_page(wallet: models.Wallet) -> None:
    assert test.Client().get(PAGE)["Location"].startswith("/accounts/login/")
    browser, stranger = test.Client(), test.Client()
    browser.force_login(user_of(wallet))
    stranger.force_login(customers.User.create())
    wish = {"customer": str(wallet.customer_id), "do": "close"}
    assert stranger.post(PAGE, wish).status_code == 404
    assert browser.post(PAGE, wish | {"customer": "x"}).status_code == 404
    assert browser.post(PAGE, wish)["Location"].startswith("/accounts/reauthenticate/")
    assert not customer_models.Closing.objects.exists()
    call("post", token(wallet))
    assert "Your account is closed on" in browser.get(PAGE).content.decode()
    assert stranger.post(PAGE, wish | {"do": "keep"}).status_code == 404
    assert browser.post(PAGE, wish | {"do": "keep"})["Location"] == PAGE
    assert customer_models.Closing.objects.get().state == "cancelled"


@pytest.mark.parametrize(("role", "status"), [("csr", 302), ("billing_analyst", 403)])
def test_the_desk_asks_for_a_customer_and_calls_off(wallet: models.Wallet, role: str, status: int) -> None:
    browser = test.Client()
    browser.force_login(customers.StaffRole.create(utility=wallet.utility, role=role).user)
    page = f"/admin/customers/closing/ask/{wallet.customer_id}/"
    assert browser.post(page, {"send_to": ""}).status_code == status
    assert customer_models.Closing.objects.count() == (1 if role == "csr" else 0)
    other = test.Client()
    other.force_login(customers.StaffRole.create(role="csr").user)
    assert other.post(page, {"send_to": ""}).status_code == 404
    if role == "csr":
        row = customer_models.Closing.objects.get()
        wish = {"action": "call_off", "_selected_action": [str(row.pk)]}
        assert browser.post("/admin/customers/closing/", wish).status_code == 302
        row.refresh_from_db()
        assert row.state == "cancelled"
