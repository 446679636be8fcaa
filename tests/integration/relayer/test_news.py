"""News of operations: told in order, each step once, whoever tells it."""

import concurrent.futures
import threading
import time
from typing import Any

import pytest
from django.db import OperationalError, connection

from openvpp.core import clock, waking
from relayer import models
from relayer.usecases import tell_changes
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)

TOLD: list[tuple[str, str]] = []
_LOCK = threading.Lock()


def take_down(*, user_operation_hash: str, state: str, **_: object) -> None:
    """A taker that is slow."""
    time.sleep(0.005)
    with _LOCK:
        TOLD.append((user_operation_hash, state))


def test_three_who_tell_at_once_tell_each_step_once_and_in_order(relayer: Relayer, settings: Any) -> None:
    operations = [relayer.pay(relayer.wallet(str(number))) for number in range(4)]
    settings.UPCALLS = settings.UPCALLS | {"user_operation.changed": [f"{__name__}.take_down"]}
    for number, state in enumerate(("bundled", "mined", "bundled", "mined", "succeeded")):
        models.OperationNews.objects.bulk_create(
            models.OperationNews(user_operation=each, state=state, detail=str(number), made_at=clock.get_now())
            for each in operations
        )
    TOLD.clear()

    def tell() -> int:
        try:
            return tell_changes.tell_changes(now=clock.get_now())
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        counts = [each.result() for each in [pool.submit(tell) for _ in range(3)]]
    tell()

    assert sum(counts) <= 20
    assert not models.OperationNews.objects.exists()
    for each in operations:
        assert [state for hash_, state in TOLD if hash_ == each.hash] == [
            "bundled",
            "mined",
            "bundled",
            "mined",
            "succeeded",
        ]


def take_down_after_a_lock(*, user_operation_hash: str, state: str, **_: object) -> None:
    """A taker that finds its row locked the first time."""
    if not TRIED:
        TRIED.append(state)
        raise OperationalError("lock timeout")
    take_down(user_operation_hash=user_operation_hash, state=state)


TRIED: list[str] = []


def test_a_step_on_the_way_that_meets_a_lock_is_told_again(relayer: Relayer, settings: Any) -> None:
    operation = relayer.pay(relayer.wallet())
    settings.UPCALLS = settings.UPCALLS | {"user_operation.changed": [f"{__name__}.take_down_after_a_lock"]}
    for state in ("bundled", "mined"):
        models.OperationNews.objects.create(user_operation=operation, state=state, made_at=clock.get_now())
    TOLD.clear()
    TRIED.clear()
    now = clock.get_now()
    assert tell_changes.tell_changes(now=now) == 0
    assert tell_changes.tell_changes(now=now + tell_changes.AGAIN_AFTER) == 2
    assert [state for _, state in TOLD] == ["bundled", "mined"]


def test_an_operation_that_comes_in_wakes_the_relay(relayer: Relayer) -> None:
    wallet = relayer.wallet()
    waking.wait(channel="relayer_queue", seconds=0.01)
    relayer.pay(wallet)
    started = time.monotonic()
    waking.wait(channel="relayer_queue", seconds=20)
    assert time.monotonic() - started < 10
    started = time.monotonic()
    waking.wait(channel="relayer_queue", seconds=0.05)
    assert time.monotonic() - started >= 0.05
