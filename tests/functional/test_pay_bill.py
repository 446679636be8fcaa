"""A customer pays a bill through the API, on a real chain, with everything between."""

import pytest
from django import test as django_test
from django.core import management

from billing import models, queries
from contracts.bindings import tokens, words
from notifications import models as notification_models
from openvpp.core import clock
from tests.factories import wallets as wallet_factories
from tests.functional.conftest import DUE_CENTS, DUE_UNITS, OVPP, STABLECOINS, TREASURY, Person, Town
from wallets import models as wallet_models
from wallets.usecases import submit_waiting

STEPS = ["reserved", "queued", "submitted", "mined", "succeeded"]


@pytest.mark.parametrize("mode", ["utility", "stablecoin", "ovpp"])
def test_a_bill_is_paid_to_the_unit_in_each_fee_mode(town: Town, ada: Person, mode: str) -> None:
    bill = town.bill(ada)
    answer = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": mode})
    assert answer.status_code == 201, answer.json()
    quote = answer.json()
    assert quote["amount_units"] == str(DUE_UNITS)
    assert (int(quote["fee_units"]) > 0) is (mode != "utility")

    answer = ada.post(f"bills/{bill.pk}/payments/", {"quote_id": quote["quote_id"], "amount_units": str(DUE_UNITS)})
    assert answer.status_code == 202, answer.json()
    assert answer.json()["state"] == "pending"
    assert ada.get(f"bills/{bill.pk}/").json()["state"] == "pending"
    town.finish()

    fee_units = int(quote["fee_units"])
    own_fee, ovpp_fee = (fee_units if mode == "stablecoin" else 0), (fee_units if mode == "ovpp" else 0)
    assert town.held(TREASURY) == (DUE_UNITS + own_fee, ovpp_fee, 0)
    assert town.held(ada.wallet.address) == (STABLECOINS - DUE_UNITS - own_fee, OVPP - ovpp_fee, 0)

    receipt = ada.get(f"payments/{answer.json()['id']}/").json()
    assert receipt["state"] == "paid"
    assert [int(each["units"]) for each in receipt["transfers"]] == (
        [DUE_UNITS, fee_units] if mode == "ovpp" else [DUE_UNITS + own_fee]
    )
    assert ada.get(f"bills/{bill.pk}/").json()["state"] == "paid"
    operation = ada.get(f"operations/{receipt['operation_id']}/").json()
    assert [step["state"] for step in operation["history"]] == STEPS
    assert operation["transaction_hash"] == receipt["transaction_hash"]

    payment = models.Payment.objects.get()
    stablecoin, ovpp = (f"31337:{token.address}" for token in (town.stablecoin, town.ovpp))
    expected = {
        ("receivable", "USD"): 0,
        ("revenue", "USD"): -DUE_CENTS,
        ("conversion", "USD"): DUE_CENTS,
        ("treasury", stablecoin): DUE_UNITS + own_fee,
        ("conversion", stablecoin): -DUE_UNITS,
        ("gas_expense", "31337:wei"): payment.gas_cost_wei,
        ("gas_deposit", "31337:wei"): -(payment.gas_cost_wei or 0),
    }
    if own_fee:
        expected["fee_income", stablecoin] = -own_fee
    if ovpp_fee:
        expected |= {("treasury", ovpp): ovpp_fee, ("fee_income", ovpp): -ovpp_fee}
    assert queries.get_balances(utility_id=town.utility.pk) == expected
    kinds = notification_models.Notice.objects.filter(user=ada.user).order_by("sequence").values_list("kind", flat=True)
    assert list(kinds) == ["bill.issued", "payment.pending", "payment.paid"]
    grant = wallet_models.SessionKeyGrant.objects.get()
    assert (grant.state, grant.reserved_total_units) == ("active", DUE_UNITS + own_fee)


def test_the_second_payment_needs_no_deployment_and_counts_in_the_same_period(town: Town, ada: Person) -> None:
    for month in (9, 10):
        bill = town.bill(ada, month=month)
        quote = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
        body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
        assert ada.post(f"bills/{bill.pk}/payments/", body).status_code == 202
        town.finish()
        bill.refresh_from_db()
        assert bill.state == "paid"
    grant = wallet_models.SessionKeyGrant.objects.get()
    assert (grant.reserved_in_period_units, grant.reserved_total_units) == (2 * DUE_UNITS, 2 * DUE_UNITS)
    assert town.held(TREASURY)[0] == 2 * DUE_UNITS


def test_two_bills_at_once_go_one_after_the_other(town: Town, ada: Person) -> None:
    answers = []
    for month in (9, 10):
        bill = town.bill(ada, month=month)
        quote = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
        body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
        answers.append(ada.post(f"bills/{bill.pk}/payments/", body))
    assert [answer.status_code for answer in answers] == [202, 202]
    states = wallet_models.Operation.objects.order_by("created_at").values_list("state", flat=True)
    assert list(states) == ["queued", "reserved"]
    town.finish()
    assert submit_waiting.submit_waiting(now=clock.get_now()) == 1
    town.finish()
    assert list(states.all()) == ["succeeded", "succeeded"]
    assert town.held(TREASURY)[0] == 2 * DUE_UNITS


def test_a_call_that_the_chain_refuses_leaves_the_bill_payable_and_gives_the_limit_back(
    town: Town, ada: Person
) -> None:
    bill = town.bill(ada, month=9)
    quote = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
    ada.post(f"bills/{bill.pk}/payments/", {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]})
    town.finish()
    spent = wallet_models.SessionKeyGrant.objects.get().reserved_total_units
    books_before = queries.get_balances(utility_id=town.utility.pk)
    bill = town.bill(ada, month=10)
    quote = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
    body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
    paid = ada.post(f"bills/{bill.pk}/payments/", body)
    assert paid.status_code == 202
    _take_everything_from(town, ada.wallet.address)
    before = town.held(TREASURY)
    town.finish()

    payment = ada.get(f"payments/{paid.json()['id']}/").json()
    assert payment["state"] == "failed"
    assert "ERC20InsufficientBalance" in payment["failure"]
    assert town.held(TREASURY) == before
    bill.refresh_from_db()
    assert bill.state == "issued"
    grant = wallet_models.SessionKeyGrant.objects.get()
    assert (grant.state, grant.reserved_in_period_units, grant.reserved_total_units) == ("active", spent, spent)
    kinds = notification_models.Notice.objects.filter(user=ada.user).order_by("sequence").values_list("kind", flat=True)
    assert list(kinds)[3:] == ["bill.issued", "payment.pending", "payment.failed"]
    gas = models.Payment.objects.get(state="failed").gas_cost_wei
    assert gas
    assert queries.get_balances(utility_id=town.utility.pk) == books_before | {
        ("receivable", "USD"): DUE_CENTS,
        ("revenue", "USD"): -2 * DUE_CENTS,
        ("gas_expense", "31337:wei"): books_before["gas_expense", "31337:wei"] + gas,
        ("gas_deposit", "31337:wei"): books_before["gas_deposit", "31337:wei"] - gas,
    }
    assert models.ProvenTransfer.objects.count() == 1


def _take_everything_from(town: Town, address: str) -> None:
    """Move a wallet's stablecoins to a stranger, as if it had paid elsewhere in between."""
    stranger = bytes.fromhex("57" * 20)
    town.chain.rpc("anvil_setBalance", address, hex(10**18))
    data = tokens.encode_transfer(to=stranger, amount_units=STABLECOINS - DUE_UNITS)
    assert town.chain.send(town.chain.deployment.stablecoin, data, sender=words.parse_address(address)).succeeded


def test_the_books_equal_the_chain_and_one_stray_unit_is_found(
    town: Town, ada: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    for month, mode in ((8, "utility"), (9, "stablecoin"), (10, "ovpp")):
        bill = town.bill(ada, month=month)
        quote = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": mode}).json()
        body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
        assert ada.post(f"bills/{bill.pk}/payments/", body).status_code == 202
        town.finish()
    town.chain.give(words.parse_address(TREASURY), 77)
    management.call_command("check_books", "--utility", "town")
    assert capsys.readouterr().out.count("equal") == 6  # two tokens on the chain, four accounts beside their rows

    data = tokens.encode_transfer(to=words.parse_address(TREASURY), amount_units=1)
    town.chain.rpc("anvil_setBalance", ada.wallet.address, hex(10**18))
    account = words.parse_address(ada.wallet.address)
    assert town.chain.send(town.chain.deployment.stablecoin, data, sender=account).succeeded
    town.chain.rpc("anvil_mine", "0x3")
    with pytest.raises(SystemExit) as end:
        management.call_command("check_books")
    assert end.value.code == 1
    said = capsys.readouterr()
    assert "DIFFERENT" in said.out
    assert f"not booked: 1 from {ada.wallet.address}" in said.err


def test_balances_are_what_the_chain_says(town: Town, ada: Person) -> None:
    shown = ada.get("wallet/balances/").json()
    assert (shown["address"], shown["native_wei"]) == (ada.wallet.address, "0")
    assert [(each["symbol"], each["amount_units"], each["amount"]) for each in shown["tokens"]] == [
        ("OVPP", str(OVPP), "1000000.000000000000000000"),
        ("USDX", str(STABLECOINS), "1000.000000"),
    ]
    assert_refused_to_nobody_and_to_wrong_scope(ada, "wallet/balances/")
    ben = town.settle("ben")
    assert ben.get("wallet/balances/").json()["address"] == ben.wallet.address


def assert_refused_to_nobody_and_to_wrong_scope(person: Person, path: str) -> None:
    wrong = wallet_factories.AccessToken.create(user=person.user, scope="notices:read")
    client = django_test.Client()
    assert client.get(f"/api/v1/{path}").status_code == 401
    assert client.get(f"/api/v1/{path}", headers=wallet_factories.bearer(token=wrong)).status_code == 403


def test_a_receipt_is_its_account_holders_alone(town: Town, ada: Person) -> None:
    bill = town.bill(ada)
    quote = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX"}).json()
    body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
    payment = ada.post(f"bills/{bill.pk}/payments/", body).json()
    ben = town.settle("ben")
    for path in (f"payments/{payment['id']}/", f"operations/{payment['operation_id']}/"):
        assert ada.get(path).status_code == 200
        assert ben.get(path).status_code == 404
        assert_refused_to_nobody_and_to_wrong_scope(ada, path)
    assert ben.get("payments/").json()["results"] == []
    assert [each["id"] for each in ada.get("payments/").json()["results"]] == [payment["id"]]
    assert ada.get("wallet/activity/").json()["results"][0]["id"] == payment["operation_id"]
