"""EIP-7702: an account's word whose code it runs is checked, carried by its bundle, and left out once it is done."""

import datetime
from typing import Any

import pytest

from contracts.bindings import delegations, words
from relayer import models
from relayer.usecases import watch_bundles
from tests.integration.relayer import application as applications
from tests.integration.relayer import delegated
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)

SEND, AT = "eth_sendUserOperation", applications.ENTRY_POINT


@pytest.fixture
def app(relayer: Relayer) -> applications.Application:
    return applications.make(relayer)


@pytest.fixture
def account(relayer: Relayer, app: applications.Application) -> delegated.Account:
    made = delegated.Account(application=app, delegate=applications.simple_7702_account(relayer.chain))
    relayer.chain.give(made.address, 1_000)
    return made


def kind(relayer: Relayer, row: models.UserOperation) -> str:
    """Return the type of the transaction that executed an operation."""
    row.refresh_from_db()
    found = relayer.chain.rpc("eth_getTransactionByHash", row.bundle.transaction_hash)
    assert isinstance(found, dict)
    return str(found["type"])


def paid(relayer: Relayer) -> int:
    return relayer.chain.balance(relayer.chain.deployment.stablecoin, applications.PAYEE)


def test_a_bundle_carries_the_word_once_and_later_operations_go_without(
    relayer: Relayer, app: applications.Application, account: delegated.Account
) -> None:
    word = account.authorization()
    sent = account.sent(authorization=word)
    hash_ = app.call(SEND, sent, AT)
    assert app.call("eth_getUserOperationByHash", hash_)["userOperation"] == sent
    relayer.finish()
    first = models.UserOperation.objects.get()
    assert (first.state, first.validation, kind(relayer, first)) == ("succeeded", "traced", "0x4")
    assert delegations.unpack_all(bytes(first.bundle.delegations or b"")) == (word,)
    assert relayer.chain.code(account.address) == delegations.designator(account.delegate)

    app.call(SEND, account.sent(authorization=word), AT)
    relayer.finish()

    second = models.UserOperation.objects.latest("created_at")
    assert (second.state, kind(relayer, second), second.bundle.delegations) == ("succeeded", "0x2", None)
    assert paid(relayer) == 2
    assert relayer.chain.native(account.address) == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"chain_id": 5}, "eip7702Auth is for chain 5."),
        ({"nonce": 7}, "eip7702Auth has the nonce 7, and the account's is 0."),
    ],
)
def test_a_word_that_would_do_nothing_is_refused(
    app: applications.Application, account: delegated.Account, changes: dict[str, Any], complaint: str
) -> None:
    good = account.sent(authorization=account.authorization())
    other = account.authorization(**changes)
    answer = app.ask(SEND, good | {"eip7702Auth": _write(other)}, AT)
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32602, complaint)
    answer = app.ask("eth_estimateUserOperationGas", good | {"eip7702Auth": _write(other)}, AT)
    assert answer["error"]["message"] == complaint
    assert not models.UserOperation.objects.exists()


def test_all_that_waits_of_an_account_goes_by_one_delegate(
    relayer: Relayer, app: applications.Application, account: delegated.Account
) -> None:
    app.call(SEND, account.sent(authorization=account.authorization()), AT)
    account.delegate = applications.simple_7702_account(relayer.chain)
    bare = {"sender": words.checksummed(account.address), "nonce": hex(1 << 64), "callData": "0x", "factory": "0x7702"}
    asked = bare | {"eip7702Auth": _write(account.authorization())}
    answer = app.ask("eth_estimateUserOperationGas", asked, AT)
    assert answer["error"]["code"] == -32602
    assert (
        answer["error"]["message"] == "eip7702Auth names another delegate than an operation of the sender that waits."
    )
    assert models.UserOperation.objects.count() == 1


def test_its_gas_is_paid_for_and_no_fee_in_a_token_is_trusted_to_anothers_code(
    relayer: Relayer, app: applications.Application, account: delegated.Account
) -> None:
    word = account.authorization()
    good = account.sent(authorization=word)
    least = int(good["preVerificationGas"], 16) - 5_000 - delegations.GAS
    answer = app.ask(SEND, good | {"preVerificationGas": hex(least)}, AT)
    assert (answer["error"]["code"], "preVerificationGas" in answer["error"]["message"]) == (-32602, True)
    quote = app.call("openvpp_getFeeQuote", good, AT, {"token": str(relayer.stablecoin.address)})
    context = {"quote": quote["quote"]}
    assert app.code("pm_getPaymasterData", good, AT, hex(relayer.chain.chain_id), context) == -32501
    everywhere = account.sent(applications.transfer(relayer.chain, 2), authorization=account.authorization(chain_id=0))
    app.call(SEND, everywhere, AT)
    relayer.finish()
    assert models.UserOperation.objects.get().state == "succeeded"


def test_a_word_that_is_used_up_before_the_bundle_harms_nobody_else(
    relayer: Relayer, app: applications.Application, account: delegated.Account
) -> None:
    app.call(SEND, account.sent(authorization=account.authorization()), AT)
    neighbour = applications.open_account(app)
    app.call(SEND, neighbour.signed(neighbour.sponsored(neighbour.operation())), AT)
    relayer.chain.rpc("anvil_setNonce", words.checksummed(account.address), "0x1")
    relayer.finish()
    states = {str(row.sender): row.state for row in models.UserOperation.objects.all()}
    assert states[words.checksummed(neighbour.address)] == "succeeded"
    assert states[words.checksummed(account.address)] in {"queued", "failed"}
    assert models.Bundle.objects.filter(has_reverted=True).count() == 0
    assert relayer.chain.code(account.address) == b""
    assert paid(relayer) == 1


def test_a_dearer_transaction_carries_the_word_too(
    relayer: Relayer, app: applications.Application, account: delegated.Account
) -> None:
    app.call(SEND, account.sent(authorization=account.authorization()), AT)
    relayer.chain.rpc("evm_setAutomine", False)
    try:
        relayer.turn()
        first = models.BundleTransaction.objects.get()
        relayer.chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(int(first.max_fee_per_gas_wei) + 10**9))
        relayer.mine()
        relayer.turn(later=datetime.timedelta(seconds=16))
        second = models.BundleTransaction.objects.exclude(hash=first.hash).get()
        assert (bytes(first.raw)[:1], bytes(second.raw)[:1]) == (b"\x04", b"\x04")
        relayer.mine()
        for _ in range(4):
            relayer.turn(later=datetime.timedelta(seconds=16))
            relayer.mine()
    finally:
        relayer.chain.rpc("evm_setAutomine", True)
    assert models.UserOperation.objects.get().state == "succeeded"
    assert paid(relayer) == 1


def test_a_reorganisation_that_undoes_the_word_has_it_sent_again(
    relayer: Relayer, app: applications.Application, account: delegated.Account
) -> None:
    relayer.mine(3)
    app.call(SEND, account.sent(authorization=account.authorization()), AT)
    relayer.turn()
    relayer.turn()
    row = models.UserOperation.objects.get()
    assert (row.state, relayer.chain.code(account.address)) == ("mined", delegations.designator(account.delegate))
    relayer.chain.rpc("anvil_reorg", 1, [])
    assert relayer.chain.code(account.address) == b""
    relayer.turn()
    relayer.turn(later=watch_bundles.RESEND_AFTER)
    relayer.finish()
    row.refresh_from_db()
    assert (row.state, kind(relayer, row), paid(relayer)) == ("succeeded", "0x4", 1)
    assert relayer.chain.code(account.address) == delegations.designator(account.delegate)


def _write(authorization: delegations.Authorization) -> dict[str, str]:
    signature = authorization.signature
    return {
        "chainId": hex(authorization.chain_id),
        "address": words.checksummed(authorization.delegate),
        "nonce": hex(authorization.nonce),
        "yParity": hex(signature[64]),
        "r": "0x" + signature[:32].hex(),
        "s": "0x" + signature[32:64].hex(),
    }
