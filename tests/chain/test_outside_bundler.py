"""An outside bundler accepts and includes our operations in the portable mode, as they are."""

import dataclasses
import pathlib
import time
from collections.abc import Iterator

import pytest

from benchmarks import gas_ours
from contracts.bindings import accounts, events, paymaster, payments, tokens, user_operations, words
from tests import chain_fixture
from tests.chain import bundler as bundlers
from tests.chain import erc7562
from tests.chain import payer as payers


@pytest.fixture
def bundler(chain: chain_fixture.Chain, tmp_path: pathlib.Path) -> Iterator[bundlers.Bundler]:
    chain.move_to(int(time.time()))
    with bundlers.running(chain, tmp_path) as started:
        yield started


def _included(
    chain: chain_fixture.Chain, bundler: bundlers.Bundler, payer: payers.Payer, operation: user_operations.UserOperation
) -> tuple[events.Event, ...]:
    """Send an operation, assert that it lands as it is, alone and by the bundler's own key; return its events."""
    expected = payer.hash(operation)
    assert bundler.send(operation) == expected
    transaction_hash = bundler.transaction_of(expected)
    transaction = chain.rpc("eth_getTransactionByHash", transaction_hash)
    assert isinstance(transaction, dict)
    assert words.parse_address(transaction["from"]) == bundlers.EXECUTOR.address
    assert words.parse_address(transaction["to"]) == chain.deployment.entry_point
    assert bytes.fromhex(transaction["input"][2:]) == user_operations.encode_handle_ops(
        operations=[operation], beneficiary=bundlers.EXECUTOR.address
    )
    told = chain.receipt(transaction_hash).of(expected)
    done = told[-1]
    assert isinstance(done, events.UserOperationEvent)
    assert (done.success, done.paymaster) == (True, chain.deployment.paymaster)
    return told


def test_each_kind_of_operation_is_included_unchanged(chain: chain_fixture.Chain, bundler: bundlers.Bundler) -> None:
    payer = payers.make(chain)
    stablecoin = chain.deployment.stablecoin

    for name, mode in (
        ("deploys, installs and pays", paymaster.FeeMode.STABLECOIN),
        ("fee in the network's token", paymaster.FeeMode.OVPP),
        ("the utility absorbs the fee", paymaster.FeeMode.UTILITY),
    ):
        operation = payer.pay_operation(mode, payer.payment(mode, name=name, amount_units=10 * payers.ONE))
        told = _included(chain, bundler, payer, operation)
        assert [event.payer for event in told if isinstance(event, events.BillPaid)] == [payer.account]
    assert chain.balance(stablecoin, payers.PAYEE) == 30 * payers.ONE + 30_000
    assert chain.balance(chain.deployment.ovpp, payers.PAYEE) == 10**18

    transfer = accounts.Call(to=stablecoin, data=tokens.encode_transfer(to=payers.PAYEE, amount_units=1))
    batch = payer.operation(accounts.encode_execute_batch(calls=[transfer]), mode=paymaster.FeeMode.UTILITY)
    _included(chain, bundler, payer, payer.signed_by_owner(batch))
    assert chain.balance(stablecoin, payers.PAYEE) == 30 * payers.ONE + 30_001
    assert chain.native(payer.account) == 0


def test_what_nobody_sponsored_is_refused_and_nothing_moves(
    chain: chain_fixture.Chain, bundler: bundlers.Bundler
) -> None:
    payer = payers.make(chain)
    mode = paymaster.FeeMode.UTILITY
    sponsored = payer.operation(payments.encode_pay_bill(payment=payer.payment(mode)), mode=mode)
    forged = payer.signed_by_key(dataclasses.replace(sponsored, max_fee_per_gas=sponsored.max_fee_per_gas + 1))
    budget, block = chain.budget(), chain.rpc("eth_blockNumber")

    with pytest.raises(bundlers.RefusedByBundler) as refused:
        bundler.send(forged)

    assert refused.value.code == -32_507  # ERC-7769: invalid signature
    assert chain.code(payer.account) == b""
    assert (chain.budget(), chain.rpc("eth_blockNumber")) == (budget, block)


def test_validation_obeys_erc_7562(chain: chain_fixture.Chain) -> None:
    payer, mode = payers.make(chain), paymaster.FeeMode.OVPP
    daily = paymaster.encode_set_limits(
        utility_id=chain_fixture.UTILITY_ID, max_per_operation_wei=10**17, max_per_day_wei=10**17
    )
    assert chain.send(chain.deployment.paymaster, daily, sender=chain_fixture.DEPLOYER.address).succeeded

    for name in ("deploys, installs and pays", "pays again"):
        operation = payer.pay_operation(mode, payer.payment(mode, name=name, amount_units=payers.ONE))
        assert erc7562.violations(chain, operation, staked=frozenset({chain.deployment.paymaster})) == []
        assert chain.handle_ops(operation).succeeded


def test_the_cheap_mode_is_seen_to_break_erc_7562(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    gas_ours.prepare_relay(chain)
    first = payer.pay_operation(paymaster.FeeMode.UTILITY, payer.payment(paymaster.FeeMode.UTILITY))
    assert chain.handle_ops(first).succeeded
    relay = chain.deployment.relay_paymaster
    payment = payer.payment(paymaster.FeeMode.STABLECOIN, name="cheap", amount_units=payers.ONE)
    operation = dataclasses.replace(
        payer.operation(payments.encode_pay_bill(payment=payment)),
        paymaster_and_data=paymaster.encode_relayed_data(relay_paymaster=relay, verification_gas_limit=40_000),
    )

    signed = payer.signed_by_key(operation, installs=False)

    assert set(erc7562.violations(chain, signed, staked=frozenset({relay}))) == {f"{relay.hex()}: ORIGIN"}
