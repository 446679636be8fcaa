"""What goes wrong on the way to a block: each payment is made exactly once, or its maker is told why not."""

import contextlib
import datetime
import threading
import time
from typing import Any

import pytest
from django import db as django_db

from contracts.bindings import user_operations, words
from openvpp.core import clock, errors
from relayer import models, queries
from relayer.adapters import chain as chain_adapter
from relayer.usecases import hold_keys, send_bundle, set_aside, watch_bundles
from tests import chain_fixture
from tests.integration.relayer.conftest import DUE_UNITS, Relayer

State = models.UserOperation.State
SOON = datetime.timedelta(seconds=20)


class Killed(BaseException):
    """Ends a turn where a `kill -9` would."""


def assert_paid_once(relayer: Relayer, *operations: models.UserOperation) -> None:
    for operation in operations:
        operation.refresh_from_db()
        assert (operation.state, operation.failure) == (State.SUCCEEDED, "")
    assert sorted(relayer.executions()) == sorted(str(operation.hash) for operation in operations)
    assert relayer.treasury_units() == DUE_UNITS * len(operations)
    assert not models.Bundle.objects.exclude(state__in=["final", "lost"]).exists()


def test_two_relays_at_once_pay_each_operation_once(relayer: Relayer) -> None:
    operations = [relayer.pay(relayer.wallet(str(number))) for number in range(3)]
    for _ in range(8):
        relayer.turn("relay-1")
        relayer.turn("relay-2")
        relayer.mine()
    assert_paid_once(relayer, *operations)
    assert models.Bundle.objects.count() == 1


def test_killed_after_the_claim_the_operation_is_taken_up_when_the_claim_lapses(relayer: Relayer) -> None:
    operation = relayer.pay(relayer.wallet())
    send_bundle._claim(chain_id=relayer.chain.chain_id, claim="dead", most_gas=10**8, now=clock.get_now())
    operation.refresh_from_db()
    assert (operation.state, operation.leased_by) == (State.QUEUED, "dead")
    relayer.turn("relay-2")
    assert models.Bundle.objects.count() == 0
    for _ in range(6):
        relayer.turn("relay-2", later=SOON)
        relayer.mine()
    assert_paid_once(relayer, operation)


@pytest.mark.parametrize("point", ["signed, not written", "written, not sent", "sent, not noted"])
def test_killed_around_the_broadcast_the_next_relay_pays_once(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    operation = relayer.pay(relayer.wallet())
    with monkeypatch.context() as patch:
        if point == "signed, not written":
            patch.setattr(send_bundle, "_write", _kill)
        elif point == "written, not sent":
            patch.setattr(chain_adapter, "send", _kill)
        else:
            patch.setattr(chain_adapter, "send", _after(chain_adapter.send))
        with pytest.raises(Killed):
            relayer.turn("relay-1")
    operation.refresh_from_db()
    assert operation.state == (State.QUEUED if point == "signed, not written" else State.BUNDLED)
    for _ in range(6):
        relayer.turn("relay-2", later=SOON)
        relayer.mine()
    assert_paid_once(relayer, operation)
    assert models.Bundle.objects.count() == 1


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


def test_a_bundle_that_waits_is_replaced_by_a_dearer_one_under_the_same_nonce(relayer: Relayer) -> None:
    operation = relayer.pay(relayer.wallet())
    relayer.chain.rpc("evm_setAutomine", False)
    try:
        relayer.turn()
        first = models.BundleTransaction.objects.get()
        relayer.chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(int(first.max_fee_per_gas_wei) + 10**9))
        relayer.mine()
        assert relayer.executions() == []
        relayer.turn(later=datetime.timedelta(seconds=16))
        second = models.BundleTransaction.objects.exclude(hash=first.hash).get()
        assert second.bundle_id == first.bundle_id
        assert int(second.max_fee_per_gas_wei) * 10 >= int(first.max_fee_per_gas_wei) * 11
        assert int(second.max_priority_fee_per_gas_wei) * 10 >= int(first.max_priority_fee_per_gas_wei) * 11
        relayer.mine()
        for _ in range(4):
            relayer.turn(later=datetime.timedelta(seconds=16))
            relayer.mine()
    finally:
        relayer.chain.rpc("evm_setAutomine", True)
    assert_paid_once(relayer, operation)
    assert models.Bundle.objects.get().transaction_hash == second.hash


def test_a_poisoned_operation_is_set_aside_with_its_reason_and_its_neighbours_go_on(relayer: Relayer) -> None:
    good = [relayer.pay(relayer.wallet(str(number))) for number in range(2)]
    poisoned = relayer.pay(relayer.wallet("bad"), signature=b"\x01" + bytes(64) + b"\x1b")
    relayer.finish()
    poisoned.refresh_from_db()
    assert poisoned.state == State.FAILED
    assert "AA2" in poisoned.failure
    assert_paid_once(relayer, *good)


def test_an_operation_whose_call_reverts_is_final_and_failed_with_the_decoded_reason(relayer: Relayer) -> None:
    wallet = relayer.wallet(units=DUE_UNITS - 1)
    operation = relayer.pay(wallet)
    relayer.finish()
    operation.refresh_from_db()
    assert operation.state == State.FAILED
    assert "ERC20InsufficientBalance" in operation.failure
    assert queries.get_receipt(user_operation_hash=str(operation.hash)).succeeded is False
    assert relayer.treasury_units() == 0
    assert relayer.chain.balance(relayer.chain.deployment.stablecoin, wallet.account) == DUE_UNITS - 1


def test_an_expired_operation_fails_with_a_reason_and_is_never_sent(relayer: Relayer) -> None:
    operation = relayer.pay(relayer.wallet(), lifetime=datetime.timedelta(seconds=60))
    relayer.turn(later=datetime.timedelta(seconds=61))
    operation.refresh_from_db()
    assert (operation.state, operation.failure) == (State.FAILED, "Expired before it was in a block.")
    assert models.Bundle.objects.count() == 0
    relayer.finish()
    assert relayer.executions() == []


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


def test_a_taker_that_fails_holds_nobody_else_up(relayer: Relayer, settings: Any) -> None:
    first, second = (relayer.pay(relayer.wallet(str(number))) for number in range(2))
    settings.UPCALLS = settings.UPCALLS | {
        "user_operation.changed": ["tests.integration.relayer.test_faults.fail_for_one"]
    }
    FAILING.add(str(first.hash))
    relayer.finish()
    assert_paid_once(relayer, first, second)
    assert TAKEN[str(second.hash)] == ["bundled", "mined", "succeeded"]
    assert str(first.hash) not in TAKEN
    assert list(models.OperationNews.objects.values_list("user_operation", "state")) == [(first.hash, "succeeded")]
    FAILING.clear()
    relayer.turn(later=datetime.timedelta(seconds=1))
    assert str(first.hash) not in TAKEN
    relayer.turn(later=datetime.timedelta(seconds=6))
    relayer.turn(later=datetime.timedelta(seconds=12))
    assert TAKEN[str(first.hash)] == ["succeeded"]
    assert not models.OperationNews.objects.exists()


FAILING: set[str] = set()
TAKEN: dict[str, list[str]] = {}


def fail_for_one(*, user_operation_hash: str, state: str, **kwargs: object) -> None:
    """A taker with a mistake in it."""
    if user_operation_hash in FAILING:
        raise ZeroDivisionError
    TAKEN.setdefault(user_operation_hash, []).append(state)


def _kill(*args: object, **kwargs: object) -> None:
    raise Killed


def _forget(**kwargs: object) -> None:
    """Take a transaction as a node does that forgets it at once."""


def _after(function: Any) -> Any:
    def call(**kwargs: Any) -> None:
        function(**kwargs)
        raise Killed

    return call


def _unreachable(**kwargs: object) -> None:
    raise errors.Unreachable("A test cut the line.")


def test_a_relay_without_a_connection_loses_its_keys_and_claims_at_once(relayer: Relayer) -> None:
    operation = relayer.pay(relayer.wallet())
    now = clock.get_now()
    models.RelayerKey.objects.update(leased_by="relay-dead", leased_until=now + SOON)
    send_bundle._claim(chain_id=relayer.chain.chain_id, claim="relay-dead:1", most_gas=10**8, now=now)
    relayer.finish("relay-2")
    assert_paid_once(relayer, operation)


def test_a_relay_with_a_connection_keeps_its_keys_until_its_lease_ends(relayer: Relayer) -> None:
    now = clock.get_now()
    chain_id = relayer.chain.chain_id
    assert len(hold_keys.hold_keys(chain_id=chain_id, holder="relay-1", now=now)) == 1
    assert hold_keys.hold_keys(chain_id=chain_id, holder="relay-2", now=now) == []
    assert len(hold_keys.hold_keys(chain_id=chain_id, holder="relay-2", now=now + SOON)) == 1
    assert hold_keys.hold_keys(chain_id=chain_id, holder="relay-1", now=now + SOON) == []


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


def test_two_relays_with_two_keys_in_two_threads_pay_each_operation_once(relayer: Relayer) -> None:
    relayer.provision(relayer_keys=2)
    operations = [relayer.pay(relayer.wallet(str(number))) for number in range(6)]
    stop = threading.Event()

    def work(holder: str) -> None:
        try:
            while not stop.is_set():
                with contextlib.suppress(send_bundle.UnableToSendBundle):
                    relayer.turn(holder)
        finally:
            django_db.connections.close_all()

    relays = [threading.Thread(target=work, args=(f"relay-{number}",)) for number in range(2)]
    for relay in relays:
        relay.start()
    deadline = time.monotonic() + 60
    while models.UserOperation.objects.exclude(state=State.SUCCEEDED).exists() and time.monotonic() < deadline:
        relayer.mine()
        time.sleep(0.1)
    stop.set()
    for relay in relays:
        relay.join()
    relayer.finish("relay-0")
    assert_paid_once(relayer, *operations)


def test_an_operation_that_expires_in_a_waiting_bundle_fails_when_the_chain_has_closed_it(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    relayer.mine(3)
    operation = relayer.pay(relayer.wallet())
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", _forget)
        relayer.turn()
        relayer.turn(later=datetime.timedelta(minutes=11))
        operation.refresh_from_db()
        assert operation.state == State.BUNDLED
        relayer.chain.move_to(int(operation.expires_at.timestamp()) + 1)
        relayer.mine(3)
        relayer.turn(later=datetime.timedelta(minutes=12))
    operation.refresh_from_db()
    assert (operation.state, operation.failure) == (State.FAILED, "Expired before it was in a block.")
    for _ in range(4):
        relayer.turn(later=datetime.timedelta(minutes=13))
        relayer.mine()
    bundle = models.Bundle.objects.get()
    assert (bundle.state, bundle.has_reverted) == (models.Bundle.State.FINAL, False)  # given up before it could
    assert (relayer.executions(), relayer.treasury_units()) == ([], 0)
