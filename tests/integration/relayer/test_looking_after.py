"""What beat does for the relayer: balances are read and kept, drained keys disabled, old counts forgotten."""

import datetime

import pytest

from custody import queries as custody_queries
from openvpp import celery
from openvpp.core import clock, errors
from relayer import models, tasks
from relayer.usecases import drain_key, refill, use_quota
from tests.factories import customers
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer


def test_balances_are_kept_for_when_no_node_answers(relayer: Relayer, settings: object) -> None:
    tasks.look_after()

    key = models.RelayerKey.objects.get()
    refilling = custody_queries.get_key_of(subject=refill.subject(chain_id=relayer.chain.chain_id))
    kept = {(row.kind, row.name): row for row in models.Balance.objects.all()}
    assert set(kept) == {
        ("key", str(key.address)),
        ("key", str(refilling.address)),
        ("deposit", "paymaster"),
        ("deposit", "relay paymaster"),
        ("budget", "tests"),
    }
    assert int(kept["key", str(key.address)].wei) == relayer.chain.native(bytes.fromhex(str(key.address)[2:]))
    assert int(kept["budget", "tests"].wei) > 0
    assert kept["budget", "tests"].limit_wei is not None
    read_at = kept["key", str(key.address)].read_at
    settings.CHAIN_RPC_URL = "http://127.0.0.1:1"  # type: ignore[attr-defined] # pytest-django's
    with pytest.raises(errors.Unreachable):
        tasks.look_after()
    assert models.Balance.objects.get(kind="key", name=str(key.address)).read_at == read_at


def test_a_draining_key_is_disabled_by_beat(relayer: Relayer) -> None:
    key = models.RelayerKey.objects.get()
    drain_key.drain(key_id=key.pk, by=customers.StaffUser.create(), reason="Rotation", now=clock.get_now())
    tasks.look_after()
    key.refresh_from_db()
    assert not key.is_enabled


def test_old_counts_are_forgotten(relayer: Relayer) -> None:
    app, now = applications.make(relayer), clock.get_now()
    for days in (0, 41):
        use_quota.use(
            key=app.key, quota=models.ApiKeyUsage.Quota.REQUESTS, count=1, now=now - datetime.timedelta(days=days)
        )
    tasks.clear_out()
    assert models.ApiKeyUsage.objects.count() == 1


def test_beat_knows_them() -> None:
    known = {entry["task"] for entry in celery.app.conf.beat_schedule.values()}
    assert {tasks.look_after.name, tasks.clear_out.name} <= known
