"""viem's bundler and paymaster clients and permissionless.js, unchanged, against the bundler over HTTP."""

import pytest
from pytest_django import live_server_helper

from contracts.bindings import words
from tests import chain_fixture, signer_fixture
from tests.clients import playing
from tests.integration.relayer import application as applications
from tests.integration.relayer import conftest as relayers

pytestmark = pytest.mark.django_db(transaction=True)

signer, relayer = signer_fixture.signer, relayers.relayer
PROXY = chain_fixture.ROOT / "contracts/src/account/AccountProxies.sol"


def test_first_operation_batch_sponsored_and_token_paid(
    relayer: relayers.Relayer, live_server: live_server_helper.LiveServer
) -> None:
    app = applications.make(relayer)
    account = applications.open_account(app)
    deployment = relayer.chain.deployment
    hexes = [part.split('"')[0] for part in PROXY.read_text().split('hex"')[1:]]
    told = playing.play(
        [relayer.turn, relayer.mine],
        "bundler_client.mjs",
        {
            "node": relayer.chain.rpc_url,
            "bundler": f"{live_server.url}/rpc/v1/{relayer.chain.chain_id}",
            "key": app.token,
            "chainId": relayer.chain.chain_id,
            "secret": "0x" + account.owner.secret.hex(),
            "salt": "0x" + account.salt.hex(),
            "factory": words.checksummed(deployment.account_factory),
            "implementation": words.checksummed(deployment.account_implementation),
            "proxyHead": "0x" + "".join(hexes[:-1]),
            "proxyTail": "0x" + hexes[-1],
            "token": words.checksummed(deployment.stablecoin),
            "payee": words.checksummed(applications.PAYEE),
        },
    )
    assert told.pop("feeUnits") == relayer.treasury_units() > 0
    assert told == {
        "account": words.checksummed(account.address),
        "chainId": relayer.chain.chain_id,
        "entryPoints": [applications.ENTRY_POINT],
        "deployed": {"success": True, "code": True},
        "found": words.checksummed(account.address),
        "batch": True,
        "tokenPaid": True,
        "permissionless": "success",
        "sendCalls": "success",
        "refused": -32521,
    }
    assert relayer.chain.balance(deployment.stablecoin, applications.PAYEE) == 1 + 2 + 3 + 4 + 5 + 6
    assert relayer.chain.native(account.address) == 0
