"""What staff can do to operations, utilities and keys: each with its reason on record, refused where it would harm."""

import datetime
from typing import Any

import pytest
from django import db as django_db

from customers import models as customer_models
from openvpp.core import clock
from relayer import models, queries
from relayer.domain import codes
from relayer.usecases import drain_key, drop_operation, pause_utility, retry_operation
from tests.factories import customers
from tests.factories import relayer as rows

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def person() -> customer_models.User:
    found: customer_models.User = customers.StaffUser.create()
    return found


def actions() -> list[tuple[str, str]]:
    return list(models.StaffAction.objects.order_by("pk").values_list("kind", "reason"))


def test_an_operation_that_was_set_aside_waits_no_longer(person: customer_models.User) -> None:
    now = clock.get_now()
    row = rows.make_operation(leased_until=now + MINUTE)

    retry_operation.retry(user_operation_hash=row.hash, by=person, reason="Node is back", now=now)

    row.refresh_from_db()
    assert (row.state, row.leased_until) == ("queued", None)
    assert actions() == [("retry", "Node is back")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "not_waiting"),
        ({"leased_by": "relay-1:x", "leased_until": clock.get_now() + 60 * MINUTE}, "on_its_way"),
        ({"state": "bundled"}, "on_its_way"),
        ({"state": "failed"}, "over"),
    ],
)
def test_what_does_not_wait_is_not_retried(changes: dict[str, Any], code: str, person: customer_models.User) -> None:
    row = rows.make_operation(**changes)
    with pytest.raises(retry_operation.UnableToRetry) as refused:
        retry_operation.retry(user_operation_hash=row.hash, by=person, reason="Why not", now=clock.get_now())
    assert refused.value.code == code
    assert actions() == []


def test_a_dropped_operation_fails_with_the_reason_and_is_told_like_any_failure(person: customer_models.User) -> None:
    row = rows.make_operation()

    drop_operation.drop(user_operation_hash=row.hash, by=person, reason="Asked by phone", now=clock.get_now())

    row.refresh_from_db()
    assert (row.state, row.failure) == ("failed", "Dropped by the utility's staff: Asked by phone")
    assert row.settled_at is not None
    assert list(row.history.values_list("state", flat=True)) == ["queued", "failed"]
    assert models.OperationNews.objects.get().state == "failed"
    assert actions() == [("drop", "Asked by phone")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"broadcast_at": clock.get_now()}, "broadcast"),
        ({"state": "bundled", "broadcast_at": clock.get_now()}, "broadcast"),
        ({"leased_by": "relay-1:x", "leased_until": clock.get_now() + 60 * MINUTE}, "being_sent"),
        ({"state": "succeeded"}, "over"),
    ],
)
def test_what_others_may_have_seen_is_not_dropped(
    changes: dict[str, Any], code: str, person: customer_models.User
) -> None:
    row = rows.make_operation(**changes)
    with pytest.raises(drop_operation.UnableToDrop) as refused:
        drop_operation.drop(user_operation_hash=row.hash, by=person, reason="Why not", now=clock.get_now())
    assert refused.value.code == code
    was = row.state
    row.refresh_from_db()
    assert (row.state, row.failure, actions()) == (was, "", [])


def test_a_paused_utility_is_refused_everywhere_and_others_are_not(person: customer_models.User) -> None:
    ours, other = customers.Utility.create(), customers.Utility.create()

    pause_utility.pause(utility_id=ours.pk, by=person, reason="Leaked key", now=clock.get_now())

    assert (queries.is_paused(utility_id=ours.pk), queries.is_paused(utility_id=other.pk)) == (True, False)
    with pytest.raises(codes.RefusedCall) as refused:
        queries.check_not_paused(utility_id=ours.pk)
    assert refused.value.code == -32_002
    with pytest.raises(pause_utility.UnableToPause):
        pause_utility.pause(utility_id=ours.pk, by=person, reason="Again", now=clock.get_now())
    pause_utility.resume(utility_id=ours.pk, by=person, reason="Key revoked", now=clock.get_now())
    assert not queries.is_paused(utility_id=ours.pk)
    with pytest.raises(pause_utility.UnableToPause):
        pause_utility.resume(utility_id=ours.pk, by=person, reason="Again", now=clock.get_now())
    assert actions() == [("pause", "Leaked key"), ("resume", "Key revoked")]
    assert models.UtilityPause.objects.get().resumed_at is not None


def test_a_drained_key_is_disabled_once_its_bundles_have_ended(person: customer_models.User) -> None:
    now = clock.get_now()
    key, other = rows.make_key(), rows.make_key()
    bundle = rows.make_bundle(key=key)

    drain_key.drain(key_id=key.pk, by=person, reason="Rotation", now=now)

    assert drain_key.disable_drained() == 0
    bundle.state = models.Bundle.State.LOST
    bundle.save()
    assert drain_key.disable_drained() == 1
    key.refresh_from_db()
    other.refresh_from_db()
    assert (key.is_enabled, key.draining_since, other.is_enabled) == (False, now, True)
    with pytest.raises(drain_key.UnableToDrain):
        drain_key.drain(key_id=key.pk, by=person, reason="Again", now=now)
    drain_key.bring_back(key_id=key.pk, by=person, reason="False alarm", now=now)
    key.refresh_from_db()
    assert (key.is_enabled, key.draining_since) == (True, None)
    with pytest.raises(drain_key.UnableToDrain):
        drain_key.bring_back(key_id=key.pk, by=person, reason="Again", now=now)
    assert actions() == [("drain", "Rotation"), ("bring_back", "False alarm")]


def test_nobody_rewrites_what_staff_did(person: customer_models.User) -> None:
    row = rows.make_operation(leased_until=clock.get_now() + MINUTE)
    retry_operation.retry(user_operation_hash=row.hash, by=person, reason="Node is back", now=clock.get_now())
    with pytest.raises(django_db.IntegrityError):
        models.StaffAction.objects.update(reason="Something else")
    with pytest.raises(django_db.IntegrityError):
        models.StaffAction.objects.create(
            kind="drop", utility=row.utility, user_operation=row, made_by=person, reason="", made_at=clock.get_now()
        )
