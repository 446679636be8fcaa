"""EIP-7702's first operation by permissionless.js and viem, unchanged, on a real chain."""

import pytest
from pytest_django import live_server_helper

from contracts.bindings import delegations, words
from tests import chain_fixture, signer_fixture
from tests.clients import playing
from tests.integration.relayer import application as applications
from tests.integration.relayer import conftest as relayers

pytestmark = pytest.mark.django_db(transaction=True)

signer, relayer = signer_fixture.signer, relayers.relayer
OWNERS = tuple(chain_fixture.Key(words.keccak(name)) for name in (b"first", b"second"))


def test_the_first_operation_gives_its_account_code(
    relayer: relayers.Relayer, live_server: live_server_helper.LiveServer
) -> None:
    app = applications.make(relayer)
    delegate = applications.simple_7702_account(relayer.chain)
    for owner in OWNERS:
        relayer.chain.give(owner.address, 1_000)

    told = playing.play(
        [relayer.turn, relayer.mine],
        "delegation_client.mjs",
        {
            "node": relayer.chain.rpc_url,
            "bundler": f"{live_server.url}/rpc/v1/{relayer.chain.chain_id}",
            "key": app.token,
            "chainId": relayer.chain.chain_id,
            "secrets": ["0x" + owner.secret.hex() for owner in OWNERS],
            "delegate": words.checksummed(delegate),
            "token": words.checksummed(relayer.chain.deployment.stablecoin),
            "payee": words.checksummed(applications.PAYEE),
        },
    )

    code = "0x" + delegations.designator(delegate).hex()
    assert told == {
        "first": "success",
        "type": "eip7702",
        "code": code,
        "second": "success",
        "secondType": "eip1559",
        "viem": True,
        "found": words.checksummed(delegate),
        "factory": "0x7702",
        "viemCode": code,
    }
    assert relayer.chain.balance(relayer.chain.deployment.stablecoin, applications.PAYEE) == 1 + 2 + 3 + 4
    assert [relayer.chain.native(owner.address) for owner in OWNERS] == [0, 0]
