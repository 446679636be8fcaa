"""The loop itself: what one key or one bundle cannot do holds nobody else up."""

import logging
from typing import Any

import pytest

from custody import operations as custody_operations
from openvpp.core import clock, db
from relayer import models
from relayer.management.commands import relay
from relayer.usecases import watch_bundles
from tests.integration.relayer.conftest import Relayer

State = models.UserOperation.State


def turn(relayer: Relayer, times: int = 1) -> list[bool]:
    command = relay.Command()
    done = []
    for _ in range(times):
        done.append(command._turn("relay-1"))
        relayer.mine()
    return done


def test_a_disabled_key_leaves_the_work_to_the_other(relayer: Relayer, caplog: pytest.LogCaptureFixture) -> None:
    relayer.provision(relayer_keys=2)
    first, second = models.RelayerKey.objects.order_by("pk")
    with db.transaction():
        custody_operations.disable_key(key_id=first.key_id, now=clock.get_now())
    operation = relayer.pay(relayer.wallet())
    with caplog.at_level(logging.ERROR):
        turn(relayer, 8)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert models.Bundle.objects.get().relayer_key_id == second.pk
    assert "key_disabled" in caplog.text


def test_a_bundle_that_cannot_be_followed_holds_up_no_other(relayer: Relayer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = relayer.pay(relayer.wallet("1"))
    turn(relayer)
    bad = models.Bundle.objects.get()
    second = relayer.pay(relayer.wallet("2"))
    read = watch_bundles._landed

    def fail_for_one(bundle: models.Bundle, view: Any) -> Any:
        if bundle.pk == bad.pk:
            raise ZeroDivisionError
        return read(bundle, view)

    with monkeypatch.context() as patch:
        patch.setattr(watch_bundles, "_landed", fail_for_one)
        turn(relayer, 8)
        second.refresh_from_db()
        first.refresh_from_db()
        assert (first.state, second.state) == (State.BUNDLED, State.SUCCEEDED)
    turn(relayer, 4)
    first.refresh_from_db()
    assert first.state == State.SUCCEEDED


def test_with_the_node_away_the_loop_goes_on(relayer: Relayer, settings: Any) -> None:
    operation = relayer.pay(relayer.wallet())
    working, settings.CHAIN_RPC_URL = settings.CHAIN_RPC_URL, "http://127.0.0.1:1"
    assert relay.Command()._turn("relay-1") is False
    settings.CHAIN_RPC_URL = working
    turn(relayer, 8)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
