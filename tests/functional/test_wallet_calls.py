"""EIP-5792 on a real chain: a wallet is asked for a call, which is the payment of a bill and nothing else."""

import datetime
import json
from typing import Any

import pytest
from django import test

from billing import models as billing_models
from contracts.bindings import tokens, words
from openvpp.core import clock
from openvpp.core import models as core_models
from tests.functional.conftest import DUE_CENTS, DUE_UNITS, STABLECOINS, TREASURY, Person, Town
from tests.integration.oauth import flow
from wallets import models

PATH = "/rpc/v1/31337"


def post(person: Person, body: object, **headers: str) -> Any:
    given = flow.authorization("POST", PATH, person.token) | headers
    return test.Client().post(PATH, json.dumps(body), "application/json", headers=given)


def ask(person: Person, method: str, *parameters: object) -> dict[str, Any]:
    answer = post(person, {"jsonrpc": "2.0", "id": 5, "method": method, "params": list(parameters)})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    assert found["id"] == 5
    return found


def payment(town: Town, person: Person, units: int = DUE_UNITS, **changes: Any) -> dict[str, Any]:
    data = tokens.encode_transfer(to=words.parse_address(TREASURY), amount_units=units)
    batch = {
        "version": "2.0.0",
        "chainId": hex(31337),
        "from": person.wallet.address,
        "atomicRequired": False,
        "calls": [{"to": str(town.stablecoin.address), "data": "0x" + data.hex()}],
    }
    return batch | changes


@pytest.fixture
def bound(ada: Person) -> Person:
    """Ada, whose app's token is bound to the key of her phone."""
    models.AccessToken.objects.update(dpop_jkt=flow.KEY.thumbprint())
    return ada


def test_a_transfer_of_a_bills_amount_pays_it_once_and_is_followed_by_its_id(town: Town, bound: Person) -> None:
    bill = town.bill(bound)
    capabilities = {"permissions": {"context": "0x" + bound.grant.pk.hex}, "unknown": {"optional": True}}
    asked = payment(town, bound, id="0xfeed", capabilities=capabilities)

    assert ask(bound, "wallet_sendCalls", asked)["result"] == {"id": "0xfeed"}
    assert ask(bound, "wallet_sendCalls", asked)["result"] == {"id": "0xfeed"}

    waiting = ask(bound, "wallet_getCallsStatus", "0xfeed")["result"]
    assert waiting == {
        "version": "2.0.0",
        "id": "0xfeed",
        "chainId": "0x7a69",
        "status": 100,
        "atomic": True,
        "receipts": [],
    }
    town.finish()
    done = ask(bound, "wallet_getCallsStatus", "0xfeed")["result"]
    assert done["status"] == 200
    (receipt,) = done["receipts"]
    assert (receipt["status"], sorted(receipt)) == (
        "0x1",
        ["blockHash", "blockNumber", "gasUsed", "logs", "status", "transactionHash"],
    )
    assert str(town.stablecoin.address) in {log["address"] for log in receipt["logs"]}
    bill.refresh_from_db()
    assert bill.state == "paid"
    assert billing_models.Payment.objects.count() == 1
    assert town.held(TREASURY)[0] == DUE_UNITS
    assert town.held(bound.wallet.address)[0] == STABLECOINS - DUE_UNITS
    other = payment(town, bound, units=DUE_UNITS + 10_000, id="0xfeed")
    assert ask(bound, "wallet_sendCalls", other)["error"]["code"] == 5720


def test_a_batch_whose_process_died_is_found_again_and_not_paid_twice(town: Town, bound: Person) -> None:
    town.bill(bound, month=8)
    town.bill(bound, month=9)
    first, second = payment(town, bound, id="1"), payment(town, bound, id="2")
    assert ask(bound, "wallet_sendCalls", first)["result"] == {"id": "1"}
    ended = clock.get_now() - datetime.timedelta(minutes=1)
    core_models.IdempotentRequest.objects.update(status=None, body=None, leased_until=ended)
    assert ask(bound, "wallet_getCallsStatus", "1")["error"]["code"] == 5730

    assert ask(bound, "wallet_sendCalls", first)["result"] == {"id": "1"}

    assert ask(bound, "wallet_getCallsStatus", "1")["result"]["status"] == 100
    assert billing_models.Payment.objects.count() == 1
    assert ask(bound, "wallet_sendCalls", second)["result"] == {"id": "2"}
    assert billing_models.Payment.objects.count() == 2


def test_the_bill_that_is_due_first_or_the_one_that_is_named_is_paid(town: Town, bound: Person) -> None:
    town.bill(bound, month=8)
    named = town.bill(bound, month=9)
    asked = payment(town, bound, capabilities={"billPayment": {"bill": str(named.pk)}})
    (id_,) = ask(bound, "wallet_sendCalls", asked)["result"].values()
    assert ask(bound, "wallet_getCallsStatus", id_)["result"]["status"] == 100
    assert billing_models.PaymentAllocation.objects.get().bill == named


def test_what_the_permission_does_not_cover_moves_nothing(town: Town, bound: Person) -> None:
    town.bill(bound)
    town.bill(bound, cents=60 * DUE_CENTS, month=10)
    stablecoin, own = str(town.stablecoin.address), payment(town, bound)["calls"][0]
    elsewhere = "0x" + tokens.encode_transfer(to=b"\x99" * 20, amount_units=DUE_UNITS).hex()
    approval = "0x" + tokens.encode_approve(spender=words.parse_address(TREASURY), amount_units=DUE_UNITS).hex()
    refused: list[tuple[int, dict[str, Any]]] = [
        (4100, {"calls": [{"to": stablecoin, "data": elsewhere}]}),
        (4100, {"calls": [{"to": stablecoin, "data": approval}]}),
        (4100, {"calls": [own | {"to": str(town.ovpp.address)}]}),
        (4100, {"calls": [own | {"value": "0x1"}]}),
        (4100, {"calls": [own | {"data": own["data"] + "00"}]}),
        (4100, {"calls": [{"to": TREASURY, "value": "0x1"}]}),
        (4100, {"from": TREASURY}),
        (4100, {"capabilities": {"permissions": {"context": "0x" + "00" * 16}}}),
        (5710, {"chainId": "0x1"}),
        (5740, {"calls": [own, own]}),
        (5700, {"capabilities": {"flowControl": {}}}),
        (5700, {"calls": [own | {"capabilities": {"flowControl": {"optional": False}}}]}),
        (5700, {"capabilities": {"paymasterService": {"url": "https://elsewhere.example"}}}),
        (-32602, {"version": "1.0"}),
        (-32602, {"atomicRequired": "yes"}),
        (-32602, {"calls": []}),
        (-32602, {"calls": [own | {"data": "0x0"}]}),
        (-32602, {"chainId": 31337}),
        (-32602, {"id": 7}),
        (-32602, {"id": "x" * 8195}),
        (-32602, {"capabilities": {"billPayment": {"bill": "x"}}}),
    ]
    for code, changes in refused:
        answer = ask(bound, "wallet_sendCalls", payment(town, bound) | changes)
        assert answer.get("error", {}).get("code") == code, (changes, answer)
    unbilled = ask(bound, "wallet_sendCalls", payment(town, bound, units=DUE_UNITS - 10_000))["error"]
    assert (unbilled["code"], unbilled["data"]["code"]) == (4100, "unable_to_find_bill_of_call")
    beyond = ask(bound, "wallet_sendCalls", payment(town, bound, units=60 * DUE_UNITS))["error"]
    assert (beyond["code"], beyond["data"]["code"]) == (-32003, "insufficient_balance")
    assert not models.Operation.objects.exists()
    assert models.SessionKeyGrant.objects.get().reserved_total_units == 0


def test_capabilities_are_told_to_the_wallets_own_application(bound: Person) -> None:
    found = ask(bound, "wallet_getCapabilities", bound.wallet.address, ["0x7a69"])["result"]
    assert found["0x7a69"]["atomic"] == {"status": "supported"}
    assert found["0x7a69"]["permissions"]["signerTypes"] == ["wallet"]
    assert ask(bound, "wallet_getCapabilities", bound.wallet.address, ["0x1"])["result"] == {}
    assert ask(bound, "wallet_getCapabilities", TREASURY)["error"]["code"] == 4100


def test_callers(town: Town, bound: Person) -> None:
    town.bill(bound)
    body = {"jsonrpc": "2.0", "id": 1, "method": "wallet_sendCalls", "params": [payment(town, bound)]}
    assert test.Client().post(PATH, json.dumps(body), "application/json").status_code == 401
    assert post(bound, body, Authorization="DPoP nothing").status_code == 401
    assert post(bound, body, DPoP="").status_code == 401
    proof = flow.authorization("POST", PATH, bound.token)
    assert post(bound, {"jsonrpc": "2.0"}, **proof).status_code == 200
    assert post(bound, body, **proof).status_code == 401
    with_bearer = {"Authorization": f"Bearer {bound.token}"}
    assert test.Client().post(PATH, json.dumps(body), "application/json", headers=with_bearer).status_code == 401

    stranger = town.settle("bo")
    models.AccessToken.objects.update(dpop_jkt=flow.KEY.thumbprint())
    assert ask(stranger, "wallet_sendCalls", payment(town, bound))["error"]["code"] == 4100
    own = ask(bound, "wallet_sendCalls", payment(town, bound, id="1"))["result"]
    assert ask(stranger, "wallet_getCallsStatus", own["id"])["error"]["code"] == 5730
    assert ask(bound, "wallet_getCallsStatus", own["id"])["result"]["status"] == 100
    assert ask(bound, "eth_sendUserOperation", {})["error"]["code"] == 4200
    models.AccessToken.objects.update(scope="wallet:read")
    assert ask(bound, "wallet_getCallsStatus", own["id"])["error"]["code"] == 4100
    assert ask(bound, "wallet_sendCalls", payment(town, bound))["error"]["code"] == 4100
    models.AccessToken.objects.update(scope="payments:write", session_key_grant=None)
    assert ask(bound, "wallet_sendCalls", payment(town, bound))["error"]["code"] == 4100
    assert models.Operation.objects.count() == 1
