"""`/ws/v1/notifications/`: a real server, a real broker; nothing is lost and nobody else is told."""

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
import websockets
from asgiref.sync import sync_to_async

from notifications import consumers
from notifications.adapters import hints
from tests.integration.notifications import conftest
from wallets import models as wallet_models

World = conftest.World
Connection = websockets.ClientConnection

WITHIN_S = 10
pytestmark = pytest.mark.usefixtures("released")


def address(server: str, after: object = 0) -> str:
    return f"ws://{server}/ws/v1/notifications/?after={after}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def frames(connection: Connection, wanted: int, kind: str = "notice") -> list[dict[str, Any]]:
    """Return the first `wanted` frames of a kind."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN_S):
        while len(found) < wanted:
            frame = json.loads(await connection.recv())
            if frame["type"] == kind:
                found.append(frame)
    return found


async def closing(server: str, headers: dict[str, str], after: object = 0) -> tuple[int | None, str | None]:
    async with websockets.connect(address(server, after), additional_headers=headers) as connection:
        async with asyncio.timeout(WITHIN_S):
            await connection.wait_closed()
        return connection.close_code, connection.close_reason


async def test_four_callers(server: str, world: World) -> None:
    await sync_to_async(world.tell)(world.ada, key="a")
    wrong_scope = await sync_to_async(world.token)(world.ada, scope="bills:read")
    another = await sync_to_async(world.token)(world.ben)
    right = await sync_to_async(world.token)(world.ada)

    assert await closing(server, {}) == (4401, "send a valid access token as Authorization: Bearer")
    assert await closing(server, bearer("no such token")) == (
        4401,
        "send a valid access token as Authorization: Bearer",
    )
    assert await closing(server, bearer(wrong_scope)) == (4403, "the access token lacks the scope notices:read")
    async with websockets.connect(address(server), additional_headers=bearer(another)) as connection:
        assert await frames(connection, 1, kind="caught_up") == [{"type": "caught_up", "after": 0}]
    async with websockets.connect(address(server), additional_headers=bearer(right)) as connection:
        (notice,) = await frames(connection, 1)
    assert (notice["sequence"], notice["kind"], notice["data"]) == (1, "bill.issued", {"bill_id": 1})


async def test_a_foreign_page_is_refused(server: str, world: World) -> None:
    token = await sync_to_async(world.token)(world.ada)

    code, reason = await closing(server, {**bearer(token), "Origin": "https://evil.example"})

    assert (code, reason) == (4403, "this origin may not open sockets here")


async def test_after_must_be_a_number(server: str, world: World) -> None:
    token = await sync_to_async(world.token)(world.ada)

    assert await closing(server, bearer(token), after="x") == (4400, "after must be a whole number from 0")
    assert await closing(server, bearer(token), after="9" * 5000) == (4400, "after must be a whole number from 0")


async def test_an_unknown_address_is_refused(server: str) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(f"ws://{server}/ws/v1/other/"):
            pass


async def test_resume_then_live_in_order(server: str, world: World) -> None:
    for number in range(1, 6):
        await sync_to_async(world.tell)(world.ada, key=f"past {number}")
    token = await sync_to_async(world.token)(world.ada)

    async with websockets.connect(address(server, after=2), additional_headers=bearer(token)) as connection:
        past = await frames(connection, 3)
        await sync_to_async(world.tell)(world.ada, world.ben, key="live")
        told_at = time.monotonic()
        (live,) = await frames(connection, 1)
        waited_s = time.monotonic() - told_at

    assert [notice["sequence"] for notice in [*past, live]] == [3, 4, 5, 6]
    assert waited_s < 2  # the hint, not the timer of five seconds


async def test_three_hundred_to_a_slow_reader(server: str, world: World) -> None:
    token = await sync_to_async(world.token)(world.ada)

    async with websockets.connect(address(server), additional_headers=bearer(token), max_queue=1) as connection:
        await frames(connection, 1, kind="caught_up")

        def burst() -> None:
            for number in range(300):
                world.tell(world.ada, key=str(number), body="x" * 1000)

        telling = asyncio.create_task(sync_to_async(burst)())
        received: list[int] = []
        async with asyncio.timeout(60):
            while len(received) < 300:
                frame = json.loads(await connection.recv())
                if frame["type"] == "notice":
                    received.append(frame["sequence"])
                    await asyncio.sleep(0.01)
        await telling

    assert received == list(range(1, 301))


async def test_a_lost_hint_loses_no_notice(server: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await sync_to_async(world.token)(world.ada)
    monkeypatch.setattr(hints, "send", lambda **_: None)

    async with websockets.connect(address(server), additional_headers=bearer(token)) as connection:
        await frames(connection, 1, kind="caught_up")
        await sync_to_async(world.tell)(world.ada, key="quiet")
        (notice,) = await frames(connection, 1)

    assert notice["sequence"] == 1


async def test_a_revoked_token_hears_nothing_more(server: str, world: World) -> None:
    token = await sync_to_async(world.token)(world.ada)

    async with websockets.connect(address(server), additional_headers=bearer(token)) as connection:
        await frames(connection, 1, kind="caught_up")
        await sync_to_async(wallet_models.AccessToken.objects.all().delete)()
        await sync_to_async(world.tell)(world.ada, key="secret")
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(websockets.ConnectionClosed):
                await connection.recv()

    assert connection.close_code == 4401


async def test_a_person_who_was_deactivated_hears_nothing_more(server: str, world: World) -> None:
    token = await sync_to_async(world.token)(world.ada)

    async with websockets.connect(address(server), additional_headers=bearer(token)) as connection:
        await frames(connection, 1, kind="caught_up")
        world.ada.is_active = False
        await sync_to_async(world.ada.save)()
        async with asyncio.timeout(WITHIN_S):
            await connection.wait_closed()

    assert connection.close_code == 4401


async def test_an_expired_token_closes_the_socket(server: str, world: World) -> None:
    token = await sync_to_async(world.token)(world.ada, seconds=1)

    code, _ = await closing(server, bearer(token))

    assert code == 4401


async def test_ping_is_answered_and_anything_else_closes(server: str, world: World) -> None:
    token = await sync_to_async(world.token)(world.ada)

    async with websockets.connect(address(server), additional_headers=bearer(token)) as connection:
        await connection.send('{"type": "ping"}')
        assert await frames(connection, 1, kind="pong") == [{"type": "pong"}]
        await connection.send("hello")
        async with asyncio.timeout(WITHIN_S):
            await connection.wait_closed()

    assert connection.close_code == 4400


async def test_a_person_has_a_bounded_number_of_sockets(server: str, world: World) -> None:
    ada, ben = [bearer(await sync_to_async(world.token)(user)) for user in (world.ada, world.ben)]

    async with contextlib.AsyncExitStack() as stack:
        for _ in range(consumers.MOST_SOCKETS):
            held = await stack.enter_async_context(websockets.connect(address(server), additional_headers=ada))
            await frames(held, 1, kind="caught_up")
        assert await closing(server, ada) == (4429, "at most 20 sockets at once")
        async with websockets.connect(address(server), additional_headers=ben) as other:
            await frames(other, 1, kind="caught_up")

    async with websockets.connect(address(server), additional_headers=ada) as again:
        await frames(again, 1, kind="caught_up")
