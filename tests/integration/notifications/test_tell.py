"""Notices are told once, in order, and leave nothing behind when what caused them is undone."""

import asyncio
import concurrent.futures

import pytest
import redis.exceptions
from channels import layers
from django.db import connections

from customers import models as customer_models
from notifications import models, queries
from notifications.adapters import hints
from openvpp.core import db
from tests.integration.notifications import conftest

World = conftest.World


class UndoneError(Exception):
    pass


def sequences(user: customer_models.User) -> list[tuple[int, str]]:
    return list(queries.get_notices_after(user=user, after=0).values_list("sequence", "key"))


def test_each_person_counts_from_one(world: World) -> None:
    world.tell(world.ada, key="a")
    world.tell(world.ada, world.ben, key="b")

    assert sequences(world.ada) == [(1, "a"), (2, "b")]
    assert sequences(world.ben) == [(1, "b")]


def test_the_same_key_is_told_once(world: World) -> None:
    world.tell(world.ada, key="a")
    world.tell(world.ada, world.ben, key="a")

    assert sequences(world.ada) == [(1, "a")]
    assert sequences(world.ben) == [(1, "a")]
    assert models.NoticeCounter.objects.get(user=world.ada).last_sequence == 1


def test_a_transaction_undone_leaves_no_gap(world: World) -> None:
    world.tell(world.ada, key="a")
    with pytest.raises(UndoneError):
        tell_and_undo(world)
    world.tell(world.ada, key="b")

    assert sequences(world.ada) == [(1, "a"), (2, "b")]


@db.transaction
def tell_and_undo(world: World) -> None:
    world.tell(world.ada, key="lost")
    raise UndoneError


def test_forty_at_once_leave_no_gap_and_no_deadlock(world: World) -> None:
    def tell(number: int) -> None:
        users = [world.ada, world.ben] if number % 2 else [world.ben, world.ada]
        try:
            world.tell(*users, key=f"k{number}")
        finally:
            connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(40)))

    for user in (world.ada, world.ben):
        assert [sequence for sequence, _ in sequences(user)] == list(range(1, 41))
        assert {key for _, key in sequences(user)} == {f"k{number}" for number in range(40)}


def test_nobody_to_tell_is_fine(world: World) -> None:
    world.tell(key="a")

    assert not models.Notice.objects.exists()


class Hanging:
    """A broker that took the connection and says nothing."""

    async def group_send(self, group: str, message: dict[str, str]) -> None:
        await asyncio.Event().wait()


class Away:
    """A broker that is not there."""

    async def group_send(self, group: str, message: dict[str, str]) -> None:
        raise redis.exceptions.ConnectionError("refused")


@pytest.mark.parametrize("broker", [Hanging(), Away()])
def test_a_broker_in_trouble_costs_a_hint_and_no_notice(
    world: World, broker: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "get_channel_layer", lambda: broker)
    monkeypatch.setattr(hints, "WITHIN_SECONDS", 0.1)

    world.tell(world.ada, key="a")

    assert sequences(world.ada) == [(1, "a")]
