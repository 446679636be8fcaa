"""The bundler's JSON-RPC: what comes in, what is refused with which code, and who may ask."""

import dataclasses

import pytest

from contracts.bindings import words
from openvpp.core import clock
from relayer import models
from relayer.domain import wire
from relayer.usecases import make_api_key
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import TREASURY, Relayer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(relayer: Relayer) -> applications.Application:
    return applications.make(relayer)


def test_a_sponsored_first_operation_deploys_pays_and_is_found_by_its_hash(
    relayer: Relayer, app: applications.Application
) -> None:
    account = applications.open_account(app)
    sent = account.signed(account.sponsored(account.operation()))

    hash_ = app.call("eth_sendUserOperation", sent, applications.ENTRY_POINT)

    assert app.call("eth_sendUserOperation", sent, applications.ENTRY_POINT) == hash_
    row = models.UserOperation.objects.get()
    assert (row.hash, row.validation, row.api_key_id) == (hash_, "fast", app.key.pk)
    assert app.call("eth_getUserOperationReceipt", hash_) is None
    found = app.call("eth_getUserOperationByHash", hash_)
    assert (found["userOperation"], found["transactionHash"]) == (sent, None)
    assert app.call("pimlico_getUserOperationStatus", hash_)["status"] == "not_submitted"
    relayer.finish()
    receipt = app.call("eth_getUserOperationReceipt", hash_)
    assert (receipt["success"], receipt["sender"], receipt["userOpHash"]) == (True, sent["sender"], hash_)
    assert receipt["paymaster"] == words.checksummed(relayer.chain.deployment.paymaster)
    assert receipt["receipt"]["status"] == "0x1"
    assert relayer.chain.balance(relayer.chain.deployment.stablecoin, applications.PAYEE) == 1
    assert relayer.chain.native(account.address) == 0
    assert app.call("pimlico_getUserOperationStatus", hash_)["status"] == "included"
    assert list(row.history.values_list("state", flat=True)) == ["queued", "bundled", "mined", "succeeded"]


def test_a_fee_in_a_token_travels_with_the_batch(relayer: Relayer, app: applications.Application) -> None:
    account = applications.open_account(app)
    draft = account.operation()
    asked = wire.write_operation(draft)
    quote = app.call("openvpp_getFeeQuote", asked, applications.ENTRY_POINT, {"token": str(relayer.stablecoin.address)})
    context, units = {"quote": quote["quote"]}, int(quote["units"], 16)
    assert units > 0
    chain_id = hex(relayer.chain.chain_id)
    assert app.code("pm_getPaymasterData", asked, applications.ENTRY_POINT, chain_id, context) == -32501
    less = account.operation(
        applications.transfer(relayer.chain, 1), applications.transfer(relayer.chain, units - 1, to=TREASURY)
    )
    assert (
        app.code("pm_getPaymasterData", wire.write_operation(less), applications.ENTRY_POINT, chain_id, context)
        == -32501
    )
    paying = account.operation(
        applications.transfer(relayer.chain, 1), applications.transfer(relayer.chain, units, to=TREASURY)
    )
    paying = dataclasses.replace(paying, max_fee_per_gas=int(quote["maxFeePerGas"], 16))

    sponsored = account.sponsored(paying, context)

    asked_again = wire.write_operation(paying)
    assert app.code("pm_getPaymasterData", asked_again, applications.ENTRY_POINT, chain_id, context) == -32501
    app.call("eth_sendUserOperation", account.signed(sponsored), applications.ENTRY_POINT)
    relayer.finish()
    assert models.UserOperation.objects.get().state == "succeeded"
    assert relayer.treasury_units() == units


def test_what_the_chain_would_refuse_is_refused_with_its_code(relayer: Relayer, app: applications.Application) -> None:
    account = applications.open_account(app)
    good = account.sponsored(account.operation())
    send = "eth_sendUserOperation"
    forged = account.signed(dataclasses.replace(good, call_data=good.call_data[:-1] + b"\x01"))
    assert app.code(send, forged, applications.ENTRY_POINT) == -32507
    assert app.code(send, account.signed(good) | {"nonce": "0x1"}, applications.ENTRY_POINT) == -32500
    unpaid = account.signed(dataclasses.replace(good, paymaster_and_data=b""))
    assert app.code(send, unpaid, applications.ENTRY_POINT) == -32500
    assert app.code(send, account.signed(good) | {"nonce": "1"}, applications.ENTRY_POINT) == -32602
    assert app.code(send, account.signed(good), "0x" + "11" * 20) == -32602
    cheap = account.signed(dataclasses.replace(good, max_fee_per_gas=1, max_priority_fee_per_gas=1))
    assert app.code(send, cheap, applications.ENTRY_POINT) == -32602
    small = account.signed(dataclasses.replace(good, pre_verification_gas=1))
    assert app.code(send, small, applications.ENTRY_POINT) == -32602
    relay = relayer.chain.deployment.relay_paymaster + good.paymaster_and_data[20:]
    assert (
        app.code(send, account.signed(dataclasses.replace(good, paymaster_and_data=relay)), applications.ENTRY_POINT)
        == -32501
    )
    late = good.paymaster_and_data
    over = late[:75] + int(clock.get_now().timestamp() + 5).to_bytes(6) + late[81:]
    assert (
        app.code(send, account.signed(dataclasses.replace(good, paymaster_and_data=over)), applications.ENTRY_POINT)
        == -32503
    )
    assert app.code("eth_estimateUserOperationGas", {"sender": sender_of(account)}, applications.ENTRY_POINT) == -32602
    reverting = wire.write_operation(account.operation(applications.transfer(relayer.chain, 1)))
    reverting["callData"] = "0x" + account.operation().call_data.hex().replace("0be77e", "000000")
    assert app.code("eth_estimateUserOperationGas", reverting, applications.ENTRY_POINT) == -32521
    assert app.code("eth_nothing") == -32601
    assert not models.UserOperation.objects.exists()


def sender_of(account: applications.Account) -> str:
    return words.checksummed(account.address)


def test_json_rpc_is_kept_to_the_letter(app: applications.Application) -> None:
    chain_id = {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"}
    assert app.post(chain_id).json() == {"jsonrpc": "2.0", "id": "a", "result": hex(app.chain.chain_id)}
    both = app.post([chain_id, {"jsonrpc": "2.0", "method": "eth_chainId"}, {"id": 1}]).json()
    assert [answer.get("result", answer.get("error", {}).get("code")) for answer in both] == [
        hex(app.chain.chain_id),
        -32600,
    ]
    assert app.post("{").json()["error"]["code"] == -32700
    assert app.post([]).json()["error"]["code"] == -32600
    assert app.post([chain_id] * 51).json()["error"]["code"] == -32600
    assert app.post({"jsonrpc": "2.0", "method": "eth_chainId"}).status_code == 204
    assert app.call("eth_supportedEntryPoints") == [applications.ENTRY_POINT]


def test_four_callers(relayer: Relayer, app: applications.Application) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getUserOperationByHash", "params": ["0x" + "00" * 32]}
    assert app.post(body, Authorization="").status_code == 401
    assert app.post(body, Authorization=f"Bearer {app.token}x").status_code == 401
    only_sends = applications.make(relayer, scopes=["operations:send"])
    assert only_sends.post(body).json()["error"]["code"] == -32001
    account = applications.open_account(app)
    hash_ = app.call(
        "eth_sendUserOperation", account.signed(account.sponsored(account.operation())), applications.ENTRY_POINT
    )
    other = type(relayer.utility).objects.create(
        slug="other", name="Other", chain_id=relayer.chain.chain_id, treasury_address="0x" + "7f" * 20
    )
    foreign = applications.make(dataclasses.replace(relayer, utility=other))
    assert foreign.call("eth_getUserOperationByHash", hash_) is None
    assert app.call("eth_getUserOperationByHash", hash_)["userOperation"]["sender"] == sender_of(account)
    make_api_key.revoke(key_ids=[app.key.pk], now=clock.get_now())
    assert app.post(body).status_code == 401


def test_another_utilitys_sponsorship_is_not_taken(relayer: Relayer, app: applications.Application) -> None:
    other = type(relayer.utility).objects.create(
        slug="other", name="Other", chain_id=relayer.chain.chain_id, treasury_address="0x" + "7f" * 20
    )
    foreign = applications.make(dataclasses.replace(relayer, utility=other))
    account = applications.open_account(app)
    sent = account.signed(account.sponsored(account.operation()))
    assert foreign.code("eth_sendUserOperation", sent, applications.ENTRY_POINT) == -32501
    assert not models.UserOperation.objects.exists()


def test_quotas_end(relayer: Relayer) -> None:
    app = applications.make(relayer, requests_per_minute=10, operations_per_day=0, sponsored_per_day=1)
    account = applications.open_account(app)
    operation = account.operation()
    sponsored = account.sponsored(operation)
    asked = (wire.write_operation(operation), applications.ENTRY_POINT, hex(relayer.chain.chain_id), None)
    assert app.code("pm_getPaymasterData", *asked) == -32005
    assert app.code("eth_sendUserOperation", account.signed(sponsored), applications.ENTRY_POINT) == -32005
    chain_id = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
    assert app.post([chain_id] * 20).status_code == 429
    assert not models.UserOperation.objects.exists()


def test_the_same_operation_sponsored_twice_at_once_is_sponsored_once(
    relayer: Relayer, app: applications.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = applications.open_account(app)
    operation, now = account.operation(), clock.get_now()
    monkeypatch.setattr(clock, "get_now", lambda: now)
    first, again = account.sponsored(operation), account.sponsored(operation)
    assert first == again
    states = sorted(models.Sponsorship.objects.values_list("state", "user_operation_hash"))
    assert [(state, bool(hash_)) for state, hash_ in states] == [("released", False), ("reserved", True)]
