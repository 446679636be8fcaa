"""Every address of bills, payments and wallets with four callers; and the door of the utility's billing system."""

import uuid
from typing import Any

import pytest
from django import test

from billing import models
from customers import models as customer_models
from notifications import models as notification_models
from tests.factories import billing, customers, wallets
from wallets import models as wallet_models

SENT = {
    "number": "2026-09-1",
    "starts_on": "2026-09-01",
    "ends_on": "2026-10-01",
    "due_on": "2026-10-22",
    "currency": "USD",
    "amount_due": "61.40",
    "lines": [{"label": "Energy", "amount": "52.40"}, {"label": "Customer charge", "amount": "9.00"}],
}


@pytest.fixture
def wallet(transactional_db: None) -> wallet_models.Wallet:
    """Ada's, who holds an account with one bill and one operation."""
    made: wallet_models.Wallet = wallets.Wallet.create()
    assert made.customer is not None
    account = customers.CustomerAccount.create(utility=made.utility)
    customers.AccountAccess.create(customer=made.customer, account=account, role="holder")
    bill = billing.Bill.create(account=account)
    billing.BillLine.create(bill=bill)
    return made


@pytest.fixture
def bill(wallet: wallet_models.Wallet) -> models.Bill:
    return models.Bill.objects.get()


@pytest.fixture
def operation(wallet: wallet_models.Wallet) -> wallet_models.Operation:
    made: wallet_models.Operation = wallet_models.Operation.objects.create(
        wallet=wallet,
        kind="billing.payment",
        reference="0x" + "ab" * 16,
        intent={"amount_units": "5"},
        created_at=wallet.created_at,
        updated_at=wallet.created_at,
    )
    return made


def ask(
    path: str,
    *,
    user: customer_models.User | None = None,
    scope: str | None = None,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Any:
    sent = dict(headers or {})
    if user is not None:
        fields = {} if scope is None else {"scope": scope}
        sent |= wallets.bearer(token=wallets.AccessToken.create(user=user, **fields))
    client = test.Client()
    if body is None:
        return client.get(f"/api/v1/{path}", headers=sent)
    return client.post(f"/api/v1/{path}", body, "application/json", headers=sent)


def owner(wallet: wallet_models.Wallet) -> customer_models.User:
    assert wallet.customer is not None
    assert wallet.customer.user is not None
    return wallet.customer.user


@pytest.mark.parametrize(
    ("path", "key", "is_list"),
    [
        ("wallet/", "address", False),
        ("wallet/activity/", "results", True),
        ("operations/{operation}/", "history", False),
        ("bills/", "results", True),
        ("bills/{bill}/", "lines", False),
        ("payments/", "results", True),
    ],
)
def test_four_callers_read(
    *,
    wallet: wallet_models.Wallet,
    bill: models.Bill,
    operation: wallet_models.Operation,
    path: str,
    key: str,
    is_list: bool,
) -> None:
    path = path.format(bill=bill.pk, operation=operation.pk)
    assert ask(path).status_code == 401
    wrong = ask(path, user=owner(wallet), scope="openid notices:read")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "insufficient_scope")
    stranger = ask(path, user=customers.Customer.create(utility=wallet.utility).user)
    if is_list:
        assert (stranger.status_code, stranger.json()["results"]) == (200, [])
    else:
        assert stranger.status_code == 404, stranger.json()
    right = ask(path, user=owner(wallet))
    assert right.status_code == 200
    assert key in right.json()


@pytest.mark.parametrize("path", ["bills/{bill}/quotes/", "bills/{bill}/payments/"])
def test_four_callers_pay(wallet: wallet_models.Wallet, bill: models.Bill, path: str) -> None:
    path = path.format(bill=bill.pk)
    body = {"token": "USDX", "quote_id": str(uuid.uuid4()), "amount_units": "1"}
    once = {"Idempotency-Key": "one"}
    assert ask(path, body=body, headers=once).status_code == 401
    wrong = ask(path, user=owner(wallet), scope="bills:read wallet:read", body=body, headers=once)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "insufficient_scope")
    stranger = customers.Customer.create(utility=wallet.utility).user
    assert ask(path, user=stranger, body=body, headers=once).status_code == 404
    right = ask(path, user=owner(wallet), body=body, headers=once)
    assert right.json()["code"] in {"token_not_accepted", "grant_required"}
    assert not models.Payment.objects.exists()


def test_a_payment_needs_a_key(wallet: wallet_models.Wallet, bill: models.Bill) -> None:
    body = {"quote_id": str(uuid.uuid4()), "amount_units": "1"}
    answer = ask(f"bills/{bill.pk}/payments/", user=owner(wallet), body=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_required")


@pytest.mark.parametrize("body", [{}, {"quote_id": "x", "amount_units": "1"}, {"amount_units": "-1"}])
def test_a_payment_that_cannot_be_read(wallet: wallet_models.Wallet, bill: models.Bill, body: dict[str, str]) -> None:
    answer = ask(f"bills/{bill.pk}/payments/", user=owner(wallet), body=body, headers={"Idempotency-Key": "one"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_a_bill_shows_its_arithmetic(wallet: wallet_models.Wallet, bill: models.Bill) -> None:
    shown = ask(f"bills/{bill.pk}/", user=owner(wallet)).json()
    assert (shown["amount_due"], shown["amount_due_cents"], shown["currency"]) == ("123.45", 12_345, "USD")
    line = shown["lines"][0]
    assert (line["quantity"], line["unit_price"], line["factor"], line["amount"]) == (
        "1.000000",
        "123.450000000",
        "1",
        "123.450000000",
    )
    assert (line["tariff"], line["tariff_version"], line["service_point"]) == (None, None, None)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("state=issued", 1),
        ("state=paid", 0),
        ("period_from=2026-09-30", 1),
        ("period_from=2026-10-01", 0),
        ("period_to=2026-09-01", 0),
        ("period_to=2026-09-02", 1),
        ("account=nobody", 0),
    ],
)
def test_bills_are_filtered(wallet: wallet_models.Wallet, query: str, count: int) -> None:
    assert len(ask(f"bills/?{query}", user=owner(wallet)).json()["results"]) == count


def test_bills_come_in_pages(wallet: wallet_models.Wallet, bill: models.Bill) -> None:
    for month in (6, 7, 8):
        billing.Bill.create(account=bill.account, number=f"M{month}")
    page = ask("bills/?page_size=3", user=owner(wallet)).json()
    assert len(page["results"]) == 3
    rest = ask("bills/?" + page["next"].split("?")[1], user=owner(wallet)).json()
    assert len(rest["results"]) == 1
    numbers = {each["number"] for each in page["results"] + rest["results"]}
    assert numbers == {bill.number, "M6", "M7", "M8"}


def system(utility: customer_models.Utility, scope: str = "bills:write") -> dict[str, str]:
    application = wallets.SystemApplication.create(utility=utility)
    return wallets.bearer(token=wallets.AccessToken.create(user=None, application=application, scope=scope))


def send(headers: dict[str, str], account: str, key: str | None = None, **changes: Any) -> Any:
    headers = headers | {"Idempotency-Key": key or str(uuid.uuid4())}
    return ask("bills/received/", body=SENT | {"account": account} | changes, headers=headers)


def test_four_callers_send_a_bill(wallet: wallet_models.Wallet, bill: models.Bill) -> None:
    number = bill.account.number
    before = models.Bill.objects.count()
    assert send({}, number).status_code == 401
    wrong = send(system(wallet.utility, "usage:write"), number)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "insufficient_scope")
    other = send(system(customers.Utility.create()), number)
    assert (other.status_code, other.json()["code"]) == (404, "account_not_found")
    person = wallets.AccessToken.create(
        user=owner(wallet), application=wallets.Application.create(utility=wallet.utility), scope="bills:write"
    )
    assert send(wallets.bearer(token=person), number).status_code == 403
    assert models.Bill.objects.count() == before
    right = send(system(wallet.utility), number)
    assert (right.status_code, right.json()["amount_due_cents"], right.json()["source"]) == (201, 6140, "received")
    notice = notification_models.Notice.objects.get()
    assert (notice.user, notice.kind, notice.data["number"]) == (owner(wallet), "bill.issued", "2026-09-1")


def test_a_bill_sent_twice_is_one_bill(wallet: wallet_models.Wallet, bill: models.Bill) -> None:
    headers, number = system(wallet.utility), bill.account.number
    first = send(headers, number, key="a")
    assert send(headers, number, key="a").json() == first.json()
    assert send(headers, number, key="b").json() == first.json()
    assert models.LedgerTransaction.objects.count() == 1
    changed = {"amount_due": "52.40", "lines": [{"label": "Energy", "amount": "52.40"}]}
    reused = send(headers, number, key="a", **changed)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    other = send(headers, number, key="c", **changed)
    assert (other.status_code, other.json()["code"]) == (422, "bill_number_used")
    assert models.Bill.objects.filter(source="received").count() == 2  # the fixture's and this one


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_due": "61.41"}, "lines_do_not_sum"),
        ({"currency": "EUR"}, "wrong_currency"),
        ({"ends_on": "2026-09-01"}, "period_runs_backward"),
    ],
)
def test_a_bill_that_is_not_taken(
    wallet: wallet_models.Wallet, bill: models.Bill, changes: dict[str, str], code: str
) -> None:
    answer = send(system(wallet.utility), bill.account.number, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert models.Bill.objects.count() == 1
    assert not models.LedgerEntry.objects.exists()


@pytest.mark.parametrize("changes", [{"lines": []}, {"amount_due": "61.401"}, {"starts_on": "soon"}, {"number": ""}])
def test_a_bill_that_cannot_be_read(wallet: wallet_models.Wallet, bill: models.Bill, changes: dict[str, Any]) -> None:
    answer = send(system(wallet.utility), bill.account.number, **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert models.Bill.objects.count() == 1
