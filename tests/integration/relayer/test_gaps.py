"""Nonces that nothing of ours holds are filled, bundles without members ended, and gas above the cap is waited for."""

import datetime
from typing import Any

import pytest

from contracts.bindings import words
from openvpp.core import clock
from relayer import models
from relayer.adapters import chain as chain_adapter
from relayer.usecases import fill_gaps, hold_keys, offer_fees, send_bundle, watch_bundles
from tests import chain_fixture
from tests.integration.relayer.conftest import DUE_UNITS, Relayer

State = models.UserOperation.State
SOON = datetime.timedelta(seconds=20)


def fill(relayer: Relayer, *, later: datetime.timedelta = SOON, holder: str = "relay-1") -> int:
    keys = list(models.RelayerKey.objects.all())
    return fill_gaps.fill_gaps(keys=keys, holder=holder, now=clock.get_now() + later)


def test_a_nonce_that_a_reorganisation_took_from_somebody_else_is_used_for_nothing(relayer: Relayer) -> None:
    relayer.mine(3)
    wallet = relayer.wallet()
    key = words.parse_address(str(models.RelayerKey.objects.get().address))
    relayer.chain.send(key, b"", sender=key, gas=21_000)
    operation = relayer.pay(wallet)
    relayer.turn()
    relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.MINED
    relayer.chain.rpc("anvil_reorg", 2, [])
    relayer.turn()
    relayer.turn(later=SOON)
    bundle = models.Bundle.objects.get()
    assert (bundle.nonce, bundle.state, relayer.executions()) == (1, models.Bundle.State.PENDING, [])
    assert fill(relayer, later=datetime.timedelta()) == 0
    assert fill(relayer) == 1
    assert fill(relayer) == 0
    relayer.mine()
    relayer.turn(later=2 * SOON)
    relayer.finish()
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert relayer.executions() == [str(operation.hash)]
    assert relayer.treasury_units() == DUE_UNITS
    assert sorted(models.Bundle.objects.values_list("nonce", "state")) == [(0, "final"), (1, "final")]


def test_a_bundle_whose_operations_are_over_gives_its_nonce_up_to_nothing(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    relayer.mine(3)
    operation = relayer.pay(relayer.wallet())
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", lambda **_: None)
        patch.setattr(watch_bundles, "_push", lambda **_: None)  # as for a bundle that is not the key's next
        relayer.turn()
        first = models.BundleTransaction.objects.get()
        assert fill(relayer) == 0
        relayer.chain.move_to(int((clock.get_now() + datetime.timedelta(minutes=11)).timestamp()))
        relayer.mine(3)
        relayer.turn(later=datetime.timedelta(minutes=11))
        operation.refresh_from_db()
        assert operation.state == State.FAILED
    assert fill(relayer, later=datetime.timedelta(minutes=12)) == 1
    second = models.BundleTransaction.objects.exclude(hash=first.hash).get()
    assert int(second.max_fee_per_gas_wei) * 10 >= int(first.max_fee_per_gas_wei) * 11
    relayer.mine()
    relayer.finish()
    bundle = models.Bundle.objects.get()
    assert (bundle.state, bundle.transaction_hash) == (models.Bundle.State.FINAL, second.hash)
    assert relayer.executions() == []
    assert fill(relayer, later=datetime.timedelta(minutes=13)) == 0


def test_a_relay_that_lost_the_key_fills_nothing(relayer: Relayer, monkeypatch: pytest.MonkeyPatch) -> None:
    relayer.pay(relayer.wallet())
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", lambda **_: None)
        relayer.turn()
    models.Bundle.objects.update(nonce=2)
    assert fill(relayer, holder="relay-2") == 0
    assert models.Bundle.objects.count() == 1


def test_above_the_cap_nothing_is_offered_and_below_it_again_what_fits(
    relayer: Relayer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    asked = chain_adapter.gas_prices()
    settings.CHAIN_MOST_FEE_WEI = asked.expected_wei - 1
    assert offer_fees.offer_fees() is None
    assert offer_fees.offer_fees() is None
    settings.CHAIN_MOST_FEE_WEI = asked.expected_wei + 1
    offered = offer_fees.offer_fees()
    assert offered is not None
    assert offered.max_fee_per_gas_wei == asked.expected_wei + 1
    assert [record.message.partition("(")[0] for record in caplog.records if "gas is" in record.message] == [
        "gas is above the cap: what waits goes on waiting ",
        "gas is below the cap again ",
    ]


def test_a_replacement_rises_by_a_tenth_and_stays_below_the_cap(relayer: Relayer, settings: Any) -> None:
    asked = chain_adapter.gas_prices()
    old = asked.max_fee_per_gas_wei
    settings.CHAIN_MOST_FEE_WEI = 0
    dearer = offer_fees.offer_for_replacement(
        old_max_fee_wei=old, old_tip_wei=asked.max_priority_fee_per_gas_wei, most_times=10
    )
    assert dearer is not None
    assert dearer.max_fee_per_gas_wei * 10 >= old * 11
    assert dearer.max_priority_fee_per_gas_wei * 10 >= asked.max_priority_fee_per_gas_wei * 11
    settings.CHAIN_MOST_FEE_WEI = old
    assert offer_fees.offer_for_replacement(old_max_fee_wei=old, old_tip_wei=1, most_times=10) is None
    settings.CHAIN_MOST_FEE_WEI = 0
    assert offer_fees.offer_for_replacement(old_max_fee_wei=20 * old, old_tip_wei=1, most_times=10) is None


def test_a_key_without_coin_leaves_the_work_to_another(relayer: Relayer) -> None:
    relayer.provision(relayer_keys=2)
    first, second = models.RelayerKey.objects.order_by("pk")
    relayer.chain.rpc("anvil_setBalance", str(first.address), "0x1")
    operation = relayer.pay(relayer.wallet())
    with pytest.raises(hold_keys.UnableToUseKey) as refusal:
        send_bundle.send_bundle(key=first, holder="relay-1", now=clock.get_now() + SOON)
    assert refusal.value.code == "key_empty"
    operation.refresh_from_db()
    assert (operation.state, operation.leased_by, models.Bundle.objects.count()) == (State.QUEUED, "", 0)
    assert send_bundle.send_bundle(key=first, holder="relay-1", now=clock.get_now() + SOON) == 0
    relayer.finish()
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert models.Bundle.objects.get().relayer_key == second


def test_with_dear_gas_bundles_become_smaller_and_none_is_impossible(relayer: Relayer) -> None:
    operations = [relayer.pay(relayer.wallet(str(number))) for number in range(4)]
    one, chain_id, now = send_bundle._gas_limit(operations[:1]), relayer.chain.chain_id, clock.get_now() + SOON
    assert len(send_bundle._claim(chain_id=chain_id, claim="two", most_gas=2 * one, now=now)) == 2
    assert send_bundle._claim(chain_id=chain_id, claim="none", most_gas=one - 100_000, now=now) == []
    assert len(send_bundle._claim(chain_id=chain_id, claim="rest", most_gas=10 * one, now=now)) == 2


def test_a_bundle_that_would_only_revert_is_cancelled_and_its_operation_found_where_it_ran(
    relayer: Relayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = relayer.pay(relayer.wallet())
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", lambda **_: None)
        relayer.turn()
    bundle = models.Bundle.objects.get()
    relayer.chain.handle_ops(models.UserOperation.objects.get().to_binding(), sender=chain_fixture.RELAYER.address)
    relayer.turn(later=SOON)
    bundle.refresh_from_db()
    assert bytes(bundle.call_data) == fill_gaps.call_of_nothing(key=models.RelayerKey.objects.get())
    assert models.BundleTransaction.objects.filter(bundle=bundle).count() == 2
    for _ in range(8):
        relayer.mine()
        relayer.turn(later=2 * SOON)
    operation.refresh_from_db()
    bundle.refresh_from_db()
    assert (operation.state, bundle.state, bundle.has_reverted) == (State.SUCCEEDED, "final", False)
    assert relayer.executions() == [str(operation.hash)]
    assert relayer.treasury_units() == DUE_UNITS
