"""Killed relays, operations that cannot be: each payment is made exactly once, or its maker is told why not."""

import contextlib
import datetime
import threading
import time
from typing import Any

import pytest
from django import db as django_db

from openvpp.core import clock
from relayer import models, queries
from relayer.adapters import chain as chain_adapter
from relayer.usecases import hold_keys, send_bundle
from tests.integration.relayer.conftest import DUE_UNITS, Relayer, assert_paid_once

State = models.UserOperation.State
SOON = datetime.timedelta(seconds=20)


class Killed(BaseException):
    """Ends a turn where a `kill -9` would."""


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
