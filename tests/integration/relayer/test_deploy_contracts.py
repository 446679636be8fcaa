"""Contracts and paymasters by a key of the signer's: the whole way, and everything that it refuses on it."""

import io
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import management
from django.core.management import base

from contracts import deployments, plan
from contracts.bindings import control, paymaster, tokens, user_operations, words
from custody import models as custody_models
from custody import operations as custody
from custody import queries as custody_queries
from custody.domain import transactions
from customers import models as customer_models
from relayer.adapters import rpc
from relayer.usecases import deploy_contracts, provision_chain
from tests import chain_fixture

ETHER = chain_fixture.ETHER
STRANGER = b"\x99" * 20


@pytest.fixture
def directory(
    chain: chain_fixture.Chain, signer: str, settings: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pathlib.Path]:
    monkeypatch.setenv("OPENVPP_DEPLOYMENTS_DIR", str(tmp_path))
    monkeypatch.delenv("DEPLOYER_KEY_FILE", raising=False)
    settings.CHAIN_RPC_URL, settings.CHAIN_ID = chain.rpc_url, chain.chain_id
    rpc._node.cache_clear()
    yield tmp_path
    rpc._node.cache_clear()


def deploy(*options: str) -> str:
    said = io.StringIO()
    management.call_command("deploy_contracts", *options, stdout=said)
    return said.getvalue()


def deployers_key(chain: chain_fixture.Chain) -> custody_models.SealedKey:
    return custody_queries.get_key_of(subject=deploy_contracts.subject(chain_id=chain.chain_id))


@pytest.fixture
def deployed(chain: chain_fixture.Chain, directory: pathlib.Path) -> deployments.Deployment:
    """A chain whose paymasters are owned by the signer's key."""
    with pytest.raises(base.CommandError, match="Send coin to the deployer 0x"):
        deploy()
    key = deployers_key(chain)
    chain.rpc("anvil_setBalance", key.address, hex(200 * ETHER))
    assert deploy("--deposit-wei", str(10 * ETHER), "--stake-wei", str(ETHER)).startswith("contracts stand on chain")
    return deployments.read(directory / f"{chain.chain_id}.json")


def test_a_key_of_the_signers_deploys_owns_and_provisions(
    chain: chain_fixture.Chain, deployed: deployments.Deployment
) -> None:
    key = deployers_key(chain)
    assert deployed.paymaster != chain.deployment.paymaster
    assert deployed.account_factory == chain.deployment.account_factory
    assert words.read_uint(chain.call(deployed.paymaster, paymaster.encode_get_deposit()), 0) == 10 * ETHER
    signed = custody_models.SignatureLog.objects.filter(key=key).count()
    assert signed >= 6
    deploy("--deposit-wei", str(10 * ETHER), "--stake-wei", str(ETHER))
    assert custody_models.SignatureLog.objects.filter(key=key).count() == signed

    utility = customer_models.Utility.objects.create(
        slug="tests", name="Tests", chain_id=chain.chain_id, treasury_address="0x" + "7e" * 20
    )
    owner = deploy_contracts.get_deployer(chain_id=chain.chain_id)
    done = provision_chain.provision_chain(
        utility_id=utility.pk,
        chain_id=chain.chain_id,
        owner=owner,
        provision=provision_chain.Provision(relayer_keys=1),
    )
    assert [line.split(" 0x")[0].split(" of ")[0] for line in done] == [
        "relayer key",
        "refill key",
        "sponsor",
        "budget",
        "limits",
    ]
    relayers = custody_models.SealedKey.objects.get(purpose="relayer")
    assert chain.native(words.parse_address(str(relayers.address))) == 10 * ETHER
    assert custody_queries.first_broken_link(key=key) is None


def test_nothing_else_is_signed(chain: chain_fixture.Chain, deployed: deployments.Deployment) -> None:
    key = deployers_key(chain)
    other_code = plan.Creation("other", bytes(32), b"\x60\x00")
    wishes: list[tuple[str, dict[str, Any]]] = [
        ("other_call", {"to": plan.DETERMINISTIC_DEPLOYER, "data": other_code.salt + other_code.code}),
        ("other_call", {"to": deployed.paymaster, "data": paymaster.encode_withdraw_to(to=STRANGER, amount_wei=1)}),
        ("other_call", {"to": deployed.paymaster, "data": words.selector("unlockStake()")}),
        ("other_call", {"to": deployed.paymaster, "data": words.selector("transferOwnership(address)") + bytes(32)}),
        (
            "other_call",
            {"to": deployed.paymaster, "data": paymaster.encode_set_manager(utility_id=1, manager=STRANGER)},
        ),
        (
            "other_call",
            {"to": deployed.paymaster, "data": paymaster.encode_set_paused(is_paused=True), "value_wei": 1},
        ),
        ("other_call", {"to": deployed.paymaster, "data": paymaster.encode_set_paused(is_paused=True) + b"\x00"}),
        ("other_call", {"to": STRANGER, "data": paymaster.encode_set_paused(is_paused=True)}),
        ("other_call", {"to": deployed.ovpp, "data": tokens.encode_transfer(to=STRANGER, amount_units=1)}),
        ("other_call", {"to": deployed.entry_point, "data": user_operations.encode_deposit_to(account=STRANGER)}),
        ("other_call", {"to": deployed.account_factory, "data": control.encode_exit()}),
        ("other_receiver", {"to": STRANGER, "value_wei": 1}),
        (
            "other_receiver",
            {"to": deployed.paymaster, "data": paymaster.encode_set_sponsor(sponsor=STRANGER, is_allowed=True)},
        ),
        (
            "other_receiver",
            {
                "to": deployed.relay_paymaster,
                "data": paymaster.encode_set_allowance(relayer=STRANGER, max_fee_per_gas_wei=1, max_cost_wei=1),
            },
        ),
        ("other_chain", {"to": deployed.paymaster, "data": paymaster.encode_deposit(), "chain_id": 1}),
        (
            "above_cost_limit",
            {"to": deployed.paymaster, "data": paymaster.encode_deposit(), "value_wei": 21 * ETHER},
        ),
    ]
    signed = custody_models.SignatureLog.objects.filter(key=key).count()
    for code, changes in wishes:
        with pytest.raises(custody.UnableToSign) as refusal:
            custody.sign_transaction(key_id=key.pk, transaction=transaction(chain, **changes))
        assert refusal.value.code == code, changes
    assert custody_models.SignatureLog.objects.filter(key=key).count() == signed


def test_a_day_has_its_limit(chain: chain_fixture.Chain, deployed: deployments.Deployment) -> None:
    key = deployers_key(chain)
    for nonce in range(1000, 1005):
        deposit = transaction(
            chain, nonce=nonce, to=deployed.paymaster, data=paymaster.encode_deposit(), value_wei=19 * ETHER
        )
        if nonce < 1004:
            custody.sign_transaction(key_id=key.pk, transaction=deposit)
    with pytest.raises(custody.UnableToSign) as refusal:
        custody.sign_transaction(key_id=key.pk, transaction=deposit)
    assert refusal.value.code == "above_day_limit"


def test_other_terms_are_another_key(
    chain: chain_fixture.Chain, deployed: deployments.Deployment, directory: pathlib.Path
) -> None:
    with pytest.raises(base.CommandError, match="has a key with another policy"):
        deploy("--treasury", words.checksummed(STRANGER))
    with pytest.raises(base.CommandError, match="all three feeds"):
        deploy("--stablecoin", words.checksummed(STRANGER))
    assert deployments.read(directory / f"{chain.chain_id}.json") == deployed


def transaction(chain: chain_fixture.Chain, **changes: Any) -> transactions.Transaction:
    fields: dict[str, Any] = {
        "chain_id": chain.chain_id,
        "nonce": int.from_bytes(os.urandom(2)),
        "max_priority_fee_per_gas_wei": 1,
        "max_fee_per_gas_wei": 10**9,
        "gas_limit": 10**6,
        "value_wei": 0,
        "data": b"",
    }
    return transactions.Transaction(**(fields | changes))
