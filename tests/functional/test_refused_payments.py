"""Every refusal of a payment: a clear error with a stable code, and nothing moved in database or chain."""

import concurrent.futures
import dataclasses
import datetime
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django import db as django_db

from billing import models
from billing.usecases import pay_bill
from contracts.bindings import tokens, words
from customers import models as customer_models
from openvpp.core import clock, db
from openvpp.core import models as core_models
from relayer import models as relayer_models
from tests.factories import controls as terms
from tests.functional.conftest import DUE_UNITS, TREASURY, Person, Town
from wallets import models as wallet_models
from wallets import operations as wallet_operations
from wallets.usecases import revoke_session_key


@pytest.fixture
def ben(town: Town) -> Person:
    return town.settle("ben")


@dataclasses.dataclass(frozen=True)
class Still:
    """What must be as it was after a refusal."""

    town: Town
    people: tuple[Person, ...]

    def look(self) -> dict[str, Any]:
        counters = wallet_models.SessionKeyGrant.objects.order_by("pk").values_list(
            "pk", "reserved_in_period_units", "reserved_total_units"
        )
        return {
            "bills": list(models.Bill.objects.order_by("pk").values_list("pk", "state", "paid_at")),
            "payments": list(models.Payment.objects.order_by("pk").values_list("pk", "state")),
            "allocations": list(models.PaymentAllocation.objects.order_by("pk").values_list("pk", "state")),
            "operations": list(wallet_models.Operation.objects.order_by("pk").values_list("pk", "state")),
            "user_operations": relayer_models.UserOperation.objects.count(),
            "used_quotes": relayer_models.FeeQuote.objects.filter(used_at__isnull=False).count(),
            "entries": models.LedgerEntry.objects.count(),
            "grants": list(counters),
            "held": [self.town.held(person.wallet.address) for person in self.people],
            "treasury": self.town.held(TREASURY),
            "nonces": [self.town.chain.nonce(words.parse_address(p.wallet.address)) for p in self.people],
        }


def quote_for(person: Person, bill: models.Bill, mode: str = "utility") -> dict[str, Any]:
    answer = person.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": mode})
    assert answer.status_code == 201, answer.json()
    found: dict[str, Any] = answer.json()
    return found


def pay(person: Person, bill: models.Bill, quote: dict[str, Any], *, key: str | None = None, **changes: Any) -> Any:
    body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]} | changes
    return person.post(f"bills/{bill.pk}/payments/", body, key=key)


def expect_refusal(town: Town, person: Person, act: Callable[[], Any], *, status: int, code: str) -> dict[str, Any]:
    """Act, and see that the answer is this problem and that nothing moved, then or after the relay's turn."""
    still = Still(town, (person,))
    before = still.look()
    answer = act()
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    town.finish()
    assert still.look() == before
    found: dict[str, Any] = answer.json()
    return found


def expect_unable(town: Town, person: Person, bill: models.Bill, quote: dict[str, Any], code: str) -> None:
    """Pay as a request would that was let in a moment before its grant ended."""
    still = Still(town, (person,))
    before = still.look()
    with pytest.raises(wallet_operations.UnableToReserve) as refusal:
        pay_bill.start(
            user=person.user,
            bill_id=bill.pk,
            quote_id=uuid.UUID(quote["quote_id"]),
            amount_units=DUE_UNITS,
            grant=person.grant,
            now=clock.get_now(),
        )
    assert refusal.value.code == code
    town.finish()
    assert still.look() == before


@pytest.mark.parametrize(
    ("limits", "code", "limit"),
    [
        ({"limit_per_payment_units": DUE_UNITS - 1}, "over_payment_limit", DUE_UNITS - 1),
        (
            {"limit_per_payment_units": DUE_UNITS - 2, "limit_per_period_units": DUE_UNITS - 1},
            "over_payment_limit",
            DUE_UNITS - 2,
        ),
    ],
)
def test_over_the_limit_of_one_payment(town: Town, limits: dict[str, int], code: str, limit: int) -> None:
    person = town.settle("ada", **limits)
    bill = town.bill(person)
    quote = quote_for(person, bill)
    problem = expect_refusal(town, person, lambda: pay(person, bill, quote), status=409, code=code)
    assert problem["needed_units"] == str(DUE_UNITS)
    assert problem["limit_units"] == str(limit)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"limit_per_payment_units": DUE_UNITS, "limit_per_period_units": 2 * DUE_UNITS - 1}, "over_period_limit"),
        (
            {
                "limit_per_payment_units": DUE_UNITS,
                "limit_per_period_units": 2 * DUE_UNITS - 1,
                "limit_total_units": 2 * DUE_UNITS - 1,
            },
            "over_period_limit",
        ),
    ],
)
def test_over_the_limit_of_a_period(town: Town, limits: dict[str, int], code: str) -> None:
    person = town.settle("ada", **limits)
    first, second = town.bill(person, month=9), town.bill(person, month=10)
    assert pay(person, first, quote_for(person, first)).status_code == 202
    town.finish()
    quote = quote_for(person, second)
    problem = expect_refusal(town, person, lambda: pay(person, second, quote), status=409, code=code)
    assert problem["left_units"] == str(DUE_UNITS - 1)


def test_over_the_limit_in_all(town: Town, ada: Person) -> None:
    wallet_models.SessionKeyGrant.objects.update(reserved_total_units=6 * DUE_UNITS + 1)
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    problem = expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=409, code="over_total_limit")
    assert problem["left_units"] == str(DUE_UNITS - 1)


def test_a_fee_above_the_grants_cap(town: Town) -> None:
    person = town.settle("ada", fee_cap_units=1)
    bill = town.bill(person)
    quote = quote_for(person, bill, "stablecoin")
    problem = expect_refusal(town, person, lambda: pay(person, bill, quote), status=409, code="over_fee_limit")
    assert (problem["fee_units"], problem["limit_units"]) == (quote["fee_units"], "1")


def test_an_expired_grant(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    wallet_models.SessionKeyGrant.objects.update(ends_at=clock.get_now())
    expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=401, code="invalid_token")
    ada.grant.refresh_from_db()
    expect_unable(town, ada, bill, quote, "grant_expired")


def test_a_revoked_grant(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    with db.transaction():
        revoke_session_key.revoke(grant_id=ada.grant.pk, now=clock.get_now())
    still = Still(town, (ada,))
    before = still.look()
    answer = pay(ada, bill, quote)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    renewed = dataclasses.replace(ada, token=town.token(user=ada.user, grant=ada.grant))
    assert pay(renewed, bill, quote).status_code == 401
    town.finish()
    assert still.look() == before
    ada.grant.refresh_from_db()
    expect_unable(town, ada, bill, quote, "grant_not_active")


def test_a_token_without_a_grant(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    plain = dataclasses.replace(ada, token=town.token(user=ada.user, grant=None))
    expect_refusal(town, ada, lambda: pay(plain, bill, quote), status=403, code="grant_required")


def test_another_customers_bill(town: Town, ada: Person, ben: Person) -> None:
    bill = town.bill(ben)
    quote = quote_for(ben, bill)
    expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=404, code="not_found")
    expect_refusal(
        town, ada, lambda: ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX"}), status=404, code="not_found"
    )
    assert ada.get(f"bills/{bill.pk}/").status_code == 404
    assert ada.get("bills/").json()["results"] == []


def test_another_customers_quote(town: Town, ada: Person, ben: Person) -> None:
    own, other = town.bill(ada), town.bill(ben)
    quote = quote_for(ben, other)
    expect_refusal(town, ada, lambda: pay(ada, own, quote), status=409, code="quote_of_another_bill")


def test_a_quote_for_another_bill_of_ones_own(town: Town, ada: Person) -> None:
    first, second = town.bill(ada, month=9), town.bill(ada, month=10)
    quote = quote_for(ada, first)
    expect_refusal(town, ada, lambda: pay(ada, second, quote), status=409, code="quote_of_another_bill")


def test_an_unknown_quote(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = {"quote_id": str(uuid.uuid4()), "amount_units": str(DUE_UNITS)}
    expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=409, code="quote_of_another_bill")


def test_a_viewer_may_look_and_not_pay(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    customer_models.AccountAccess.objects.update(role="viewer")
    assert ada.get(f"bills/{bill.pk}/").status_code == 200
    expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=403, code="viewer_may_not_pay")


@pytest.mark.parametrize("amount", [str(DUE_UNITS - 1), str(DUE_UNITS + 1), "0", "1" * 78])
def test_another_amount_than_quoted(town: Town, ada: Person, amount: str) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    problem = expect_refusal(
        town, ada, lambda: pay(ada, bill, quote, amount_units=amount), status=409, code="amount_differs"
    )
    assert problem["quoted_units"] == str(DUE_UNITS)


def test_an_expired_quote(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    long_ago = clock.get_now() - datetime.timedelta(minutes=10)
    relayer_models.FeeQuote.objects.update(created_at=long_ago, expires_at=long_ago + datetime.timedelta(minutes=2))
    problem = expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=409, code="quote_expired")
    assert problem["expired_at"]


def test_a_utility_that_is_paid_at_another_address_by_now(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    terms.change_terms(town.utility, treasury_address=words.checksummed(b"\x77" * 20))
    expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=409, code="quote_outdated")
    anew = quote_for(ada, bill)
    problem = expect_refusal(town, ada, lambda: pay(ada, bill, anew), status=403, code="grant_does_not_cover")
    assert problem["allowed_payee"] == TREASURY


def test_a_bill_that_is_paid_or_on_its_way(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote, other = quote_for(ada, bill), quote_for(ada, bill)
    assert pay(ada, bill, quote).status_code == 202
    answer = pay(ada, bill, other)
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_pending")
    town.finish()
    expect_refusal(town, ada, lambda: pay(ada, bill, other), status=409, code="already_paid")


def test_a_quote_pays_once(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    assert pay(ada, bill, quote).status_code == 202
    town.finish()
    models.Bill.objects.update(state="issued", paid_at=None)
    expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=409, code="quote_used")


def test_a_repeated_key_with_another_body(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote, other = quote_for(ada, bill), quote_for(ada, bill)
    first = pay(ada, bill, quote, key="once")
    assert first.status_code == 202
    town.finish()
    expect_refusal(town, ada, lambda: pay(ada, bill, other, key="once"), status=422, code="idempotency_key_reused")
    again = pay(ada, bill, quote, key="once")
    assert (again.status_code, again.json()) == (202, first.json())


def test_the_same_key_and_body_fifty_times_at_once_pays_once(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)

    def act(_: int) -> Any:
        try:
            return pay(ada, bill, quote, key="fifty")
        finally:
            django_db.connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(act, range(50)))
    taken = [answer.json() for answer in answers if answer.status_code == 202]
    assert taken
    assert all(body == taken[0] for body in taken)
    refused = [answer.json()["code"] for answer in answers if answer.status_code != 202]
    assert set(refused) <= {"idempotency_key_in_use"}
    town.finish()
    assert models.Payment.objects.count() == 1
    assert models.Payment.objects.get().state == "paid"
    assert town.held(TREASURY)[0] == DUE_UNITS
    assert pay(ada, bill, quote, key="fifty").json() == taken[0]


def test_a_payment_whose_first_answer_was_lost_with_its_process_is_answered_again(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill)
    first = pay(ada, bill, quote, key="lost").json()
    # What a process leaves that dies after the payment is written and before its answer is.
    core_models.IdempotentRequest.objects.update(
        status=None, body=None, leased_until=clock.get_now() - datetime.timedelta(seconds=1)
    )

    again = pay(ada, bill, quote, key="lost")

    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    town.finish()
    assert models.Payment.objects.get().state == "paid"
    assert town.held(TREASURY)[0] == DUE_UNITS


def test_fifty_payments_of_one_bill_under_different_keys_pay_once(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quotes = [quote_for(ada, bill) for _ in range(10)]

    def act(quote: dict[str, Any]) -> int:
        try:
            return int(pay(ada, bill, quote).status_code)
        finally:
            django_db.connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(act, quotes * 5))
    assert sorted(set(statuses)) == [202, 409]
    assert statuses.count(202) == 1
    town.finish()
    assert town.held(TREASURY)[0] == DUE_UNITS
    grant = wallet_models.SessionKeyGrant.objects.get()
    assert grant.reserved_total_units == DUE_UNITS


@pytest.mark.parametrize(("mode", "token"), [("utility", "stablecoin"), ("stablecoin", "stablecoin"), ("ovpp", "ovpp")])
def test_a_wallet_that_holds_too_little(town: Town, ada: Person, mode: str, token: str) -> None:
    bill = town.bill(ada)
    quote = quote_for(ada, bill, mode)
    needed = {
        "utility": DUE_UNITS,
        "stablecoin": DUE_UNITS + int(quote["fee_units"]),
        "ovpp": int(quote["fee_units"]),
    }[mode]
    address = bytes.fromhex(getattr(town, token).address[2:])
    wallet = words.parse_address(ada.wallet.address)
    left = town.chain.balance(address, wallet) - (needed - 1)
    town.chain.rpc("anvil_setBalance", ada.wallet.address, hex(10**18))
    data = tokens.encode_transfer(to=bytes.fromhex("57" * 20), amount_units=left)
    assert town.chain.send(address, data, sender=wallet).succeeded
    problem = expect_refusal(town, ada, lambda: pay(ada, bill, quote), status=409, code="insufficient_balance")
    assert (problem["needed_units"], problem["held_units"]) == (str(needed), str(needed - 1))
    assert problem["token"] == getattr(town, token).address


def test_quotes_that_are_not_given(town: Town, ada: Person) -> None:
    bill = town.bill(ada)

    def ask(**body: str) -> tuple[int, dict[str, Any]]:
        answer = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX"} | body)
        return answer.status_code, answer.json()

    status, problem = ask(token="OVPP")
    assert (status, problem["code"], problem["accepted_tokens"]) == (409, "token_not_accepted", ["USDX"])
    assert ask(fee_mode="barter")[0] == 400
    terms.change_terms(town.utility, offers_fee_in_stablecoin=False)
    status, problem = ask(fee_mode="stablecoin")
    assert (status, problem["code"], problem["offered_fee_modes"]) == (409, "fee_mode_not_offered", ["utility", "ovpp"])
    terms.change_token(customer_models.AcceptedToken.objects.get(symbol="OVPP"), pays_fees=False)
    status, problem = ask(fee_mode="ovpp")
    assert (status, problem["code"]) == (409, "fee_token_not_accepted")
    terms.change_token(customer_models.AcceptedToken.objects.get(symbol="OVPP"), pays_fees=True)
    relayer_models.TokenPrice.objects.update(observed_at=clock.get_now() - datetime.timedelta(hours=1))
    status, problem = ask(fee_mode="ovpp")
    assert (status, problem["code"]) == (503, "price_stale")
    status, quote = ask()
    assert (status, quote["fee_mode"], quote["fee_units"]) == (201, "utility", "0")
    assert quote["reason"] == "Town Light pays the network fee."
    bill = town.bill(ada, cents=-5, month=10)
    status, problem = ask()
    assert (status, problem["code"]) == (409, "nothing_to_pay")
    assert relayer_models.FeeQuote.objects.count() == 1
