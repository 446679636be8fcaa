"""`debug_bundler_*` (ERC-7769): in development alone, and what they do to pool, keys and reputation."""

import dataclasses
from typing import Any

import pytest

from openvpp.settings import base, local
from relayer import models
from relayer.rpc import debugging
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)

STRANGER = "0x" + "98" * 20
AT = applications.ENTRY_POINT


@pytest.fixture
def app(relayer: Relayer, settings: Any) -> applications.Application:
    settings.RELAYER_DEBUG_METHODS = True
    return applications.make(relayer)


@pytest.mark.parametrize("name", debugging.METHODS)
def test_outside_development_there_are_none(relayer: Relayer, name: str) -> None:
    assert applications.make(relayer).code(name) == -32601


def test_they_are_on_in_local_settings_alone() -> None:
    assert (base.RELAYER_DEBUG_METHODS, local.RELAYER_DEBUG_METHODS) == (False, True)


def test_a_bundle_goes_out_when_it_is_asked_for(relayer: Relayer, app: applications.Application) -> None:
    account = applications.open_account(app)
    sent = account.signed(account.sponsored(account.operation()))
    assert app.call("debug_bundler_setBundlingMode", "manual") == "ok"
    hash_ = app.call("eth_sendUserOperation", sent, AT)
    relayer.turn()
    assert models.UserOperation.objects.get().state == "queued"
    assert app.call("debug_bundler_dumpMempool", AT) == [sent]

    transaction = app.call("debug_bundler_sendBundleNow")

    assert app.call("debug_bundler_dumpMempool", AT) == []
    assert app.code("debug_bundler_sendBundleNow") == -32602
    assert app.call("debug_bundler_setBundlingMode", "auto") == "ok"
    assert app.code("debug_bundler_sendBundleNow") == -32602
    relayer.finish()
    receipt = app.call("eth_getUserOperationReceipt", hash_)
    assert (receipt["success"], receipt["receipt"]["transactionHash"]) == (True, transaction)


def test_the_pool_is_cleared_of_ones_own(relayer: Relayer, app: applications.Application) -> None:
    account = applications.open_account(app)
    sent = account.signed(account.sponsored(account.operation()))
    hash_ = app.call("eth_sendUserOperation", sent, AT)
    other = type(relayer.utility).objects.create(
        slug="other", name="Other", chain_id=relayer.chain.chain_id, treasury_address="0x" + "7f" * 20
    )
    foreign = applications.make(dataclasses.replace(relayer, utility=other))
    assert foreign.call("debug_bundler_dumpMempool", AT) == []
    assert foreign.call("debug_bundler_clearState") == "ok"
    assert app.call("debug_bundler_dumpMempool", AT) == [sent]
    assert app.call("debug_bundler_clearState") == "ok"
    assert app.call("debug_bundler_dumpMempool", AT) == []
    assert app.call("pimlico_getUserOperationStatus", hash_)["status"] == "rejected"


def test_reputation_is_set_and_told(app: applications.Application) -> None:
    given = [{"address": STRANGER, "opsSeen": hex(1000), "opsIncluded": "0x5"}]
    assert app.call("debug_bundler_setReputation", given, AT) == "ok"
    assert app.call("debug_bundler_dumpReputation", AT) == [given[0] | {"status": "banned"}]
    assert app.call("debug_bundler_setReputation", [given[0] | {"opsIncluded": "0x50"}], AT) == "ok"
    assert app.call("debug_bundler_dumpReputation", AT)[0]["status"] == "throttled"
    assert app.code("debug_bundler_setReputation", [{"address": STRANGER}], AT) == -32602
    assert app.code("debug_bundler_setReputation", given, STRANGER) == -32602
    assert app.call("debug_bundler_clearState") == "ok"
    assert app.call("debug_bundler_dumpReputation", AT) == []


def test_callers(relayer: Relayer, app: applications.Application) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "debug_bundler_clearState"}
    assert app.post(body, Authorization="").status_code == 401
    reader = applications.make(relayer, scopes=["operations:read"])
    for name in debugging.METHODS:
        assert reader.code(name) == -32001
    assert app.code("debug_bundler_setBundlingMode", "never") == -32602
