"""Nodes that fail or differ, a chain that goes back, strangers in the way: each payment is made exactly once."""

import datetime
from typing import Any

import pytest

from contracts.bindings import user_operations, words
from openvpp.core import clock, errors
from relayer import models, queries
from relayer.adapters import chain as chain_adapter
from relayer.usecases import set_aside, watch_bundles
from tests import chain_fixture
from tests.integration.relayer.conftest import Relayer, assert_paid_once

State = models.UserOperation.State
SOON = datetime.timedelta(seconds=20)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_reorganisation_steps_back_and_sends_the_same_transaction_again(relayer: Relayer, depth: int) -> None:
    relayer.mine(3)
    operation = relayer.pay(relayer.wallet())
    relayer.turn()
    relayer.mine(depth - 1)
    relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.MINED
    raw = models.BundleTransaction.objects.get()
    relayer.chain.rpc("anvil_reorg", depth, [])
    assert relayer.executions() == []
    relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.BUNDLED
    with pytest.raises(queries.UnableToFindReceipt):
        queries.get_receipt(user_operation_hash=str(operation.hash))
    relayer.turn(later=watch_bundles.RESEND_AFTER)
    relayer.finish()
    assert_paid_once(relayer, operation)
    assert models.BundleTransaction.objects.get().hash == raw.hash
    assert list(operation.history.values_list("state", flat=True)) == [
        "queued",
        "bundled",
        "mined",
        "bundled",
        "mined",
        "succeeded",
    ]


def test_with_the_signer_down_nothing_is_sent_and_afterwards_all_is(relayer: Relayer, settings: Any) -> None:
    operation = relayer.pay(relayer.wallet())
    working, settings.SIGNER_URL = settings.SIGNER_URL, "http://127.0.0.1:1"
    with pytest.raises(errors.Unreachable):
        relayer.turn()
    operation.refresh_from_db()
    assert (operation.state, operation.leased_by) == (State.QUEUED, "")
    assert models.Bundle.objects.count() == 0
    settings.SIGNER_URL = working
    relayer.finish()
    assert_paid_once(relayer, operation)


def test_with_the_node_down_after_the_bundle_is_written_it_is_sent_when_the_node_is_back(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = relayer.pay(relayer.wallet())
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", _unreachable)
        with pytest.raises(errors.Unreachable):
            relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.BUNDLED
    relayer.finish()
    assert_paid_once(relayer, operation)


def test_an_operation_that_a_stranger_brought_to_the_chain_is_adopted(relayer: Relayer) -> None:
    operation = relayer.pay(relayer.wallet())
    models.UserOperation.objects.update(broadcast_at=clock.get_now())
    row = models.UserOperation.objects.get()
    relayer.chain.handle_ops(row.to_binding(), sender=chain_fixture.RELAYER.address)
    relayer.mine()
    relayer.finish()
    assert_paid_once(relayer, operation)
    assert models.Bundle.objects.get().relayer_key is None


def test_an_execution_whose_transaction_a_node_lacks_ends_nothing(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked one after another, two nodes may differ: what one has seen executed must not fail by the other's word."""
    operation = relayer.pay(relayer.wallet())
    models.UserOperation.objects.update(broadcast_at=clock.get_now())
    row = models.UserOperation.objects.get()
    relayer.chain.handle_ops(row.to_binding(), sender=chain_fixture.RELAYER.address)
    relayer.mine(8)
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "receipts", lambda hashes: [None for _ in hashes])
        assert not set_aside.close(operation=row, reason="A test says so.", now=clock.get_now())
    row.refresh_from_db()
    assert (row.state, row.failure) == (State.QUEUED, "")
    relayer.finish()
    assert_paid_once(relayer, operation)


def test_a_nonce_that_somebody_else_used_is_looked_up_and_the_bundle_sent_anew_only_when_that_is_final(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = relayer.pay(relayer.wallet())
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", _unreachable)
        with pytest.raises(errors.Unreachable):
            relayer.turn()
    key = models.RelayerKey.objects.get()
    relayer.chain.send(
        words.parse_address(str(key.address)), b"", sender=words.parse_address(str(key.address)), gas=21_000
    )
    relayer.turn()
    lost = models.Bundle.objects.get()
    assert lost.nonce_passed_at_block is not None
    relayer.turn()
    assert models.Bundle.objects.count() == 1
    relayer.finish()
    assert_paid_once(relayer, operation)
    lost.refresh_from_db()
    assert lost.state == models.Bundle.State.LOST
    assert (lost.nonce, models.Bundle.objects.get(state="final").nonce) == (0, 1)


def test_a_bundle_that_reverts_in_its_block_sends_its_operations_one_by_one_again(relayer: Relayer) -> None:
    """The stranger takes one operation out of the bundle between its check and its block."""
    operations = [relayer.pay(relayer.wallet(str(number))) for number in range(2)]
    relayer.chain.rpc("evm_setAutomine", False)
    try:
        relayer.turn()
        row = models.UserOperation.objects.order_by("created_at").first()
        assert row is not None
        data = user_operations.encode_handle_ops(
            operations=[row.to_binding()], beneficiary=chain_fixture.RELAYER.address
        )
        relayer.chain.rpc(
            "eth_sendTransaction",
            {
                "from": words.checksummed(chain_fixture.RELAYER.address),
                "to": words.checksummed(relayer.chain.deployment.entry_point),
                "data": "0x" + data.hex(),
                "gas": hex(5_000_000),
                "maxFeePerGas": hex(10**11),
                "maxPriorityFeePerGas": hex(5 * 10**10),
            },
        )
        for _ in range(10):
            relayer.mine()
            relayer.turn(later=SOON)
    finally:
        relayer.chain.rpc("evm_setAutomine", True)
    assert_paid_once(relayer, *operations)
    assert models.Bundle.objects.filter(has_reverted=True).count() == 1


def test_a_node_that_is_behind_undoes_nothing(relayer: Relayer, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = relayer.pay(relayer.wallet())
    relayer.turn()
    relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.MINED
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "block_hashes", lambda *, numbers: [None for _ in numbers])
        relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.MINED
    relayer.finish()
    assert_paid_once(relayer, operation)


def test_a_block_that_a_node_far_beyond_it_lacks_has_left_the_chain(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = relayer.pay(relayer.wallet())
    relayer.turn()
    relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.MINED
    relayer.mine(2)
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "block_hashes", lambda *, numbers: [None for _ in numbers])
        relayer.turn()
        operation.refresh_from_db()
        assert operation.state == State.MINED
        patch.setattr(chain_adapter, "receipts", lambda *, hashes: [None for _ in hashes])
        relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.BUNDLED
    relayer.finish()
    assert_paid_once(relayer, operation)


def _unreachable(**kwargs: object) -> None:
    raise errors.Unreachable("A test cut the line.")
