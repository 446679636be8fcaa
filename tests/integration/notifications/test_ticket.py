"""A ticket opens one websocket, once, within half a minute; for the person of the token that it was made with."""

import datetime
import json
from typing import Any

import pytest
import websockets
from asgiref.sync import sync_to_async
from django import test
from django.utils import timezone

from tests.integration.notifications import conftest, test_socket
from wallets import models

pytestmark = pytest.mark.usefixtures("released")


def make(token: str) -> Any:
    return test.Client().post("/api/v1/notices/ticket/", headers={"Authorization": f"Bearer {token}"})


async def opened(server: str, ticket: str) -> tuple[int | None, str | None] | dict[str, Any]:
    """Return the first frame, or how the socket was closed."""
    async with websockets.connect(f"{test_socket.address(server)}&ticket={ticket}") as connection:
        try:
            frame: dict[str, Any] = json.loads(await connection.recv())
        except websockets.ConnectionClosed:
            return connection.close_code, connection.close_reason
        return frame


REFUSED = (4401, "the ticket is unknown, used or too old")


async def test_a_ticket_opens_one_socket_once(server: str, world: conftest.World) -> None:
    token = await sync_to_async(world.token)(world.ada)
    answer = await sync_to_async(make)(token)
    assert (answer.status_code, answer.json()["expires_in"]) == (201, 30)
    ticket = answer.json()["ticket"]
    assert await opened(server, ticket) == {"type": "caught_up", "after": 0}
    assert await opened(server, ticket) == REFUSED
    assert await opened(server, "guessed") == REFUSED
    assert await opened(server, token) == REFUSED


async def test_a_ticket_is_too_old_after_half_a_minute(server: str, world: conftest.World) -> None:
    ticket = (await sync_to_async(make)(await sync_to_async(world.token)(world.ada))).json()["ticket"]
    soon = timezone.now() + datetime.timedelta(seconds=30)
    assert await models.SocketTicket.objects.filter(expires_at__lte=soon).acount() == 1
    await models.SocketTicket.objects.aupdate(expires_at=timezone.now())
    assert await opened(server, ticket) == REFUSED


async def test_a_ticket_dies_with_its_token(server: str, world: conftest.World) -> None:
    ticket = (await sync_to_async(make)(await sync_to_async(world.token)(world.ada))).json()["ticket"]
    await models.AccessToken.objects.all().adelete()
    assert await opened(server, ticket) == REFUSED


async def test_four_callers_of_the_ticket_address(server: str, world: conftest.World) -> None:
    wrong_scope = await sync_to_async(world.token)(world.ada, scope="bills:read")
    assert (await sync_to_async(test.Client().post)("/api/v1/notices/ticket/")).status_code == 401
    assert (await sync_to_async(make)(wrong_scope)).status_code == 403
    assert (await sync_to_async(make)(await sync_to_async(world.token)(world.ben))).status_code == 201
    assert (await sync_to_async(make)(await sync_to_async(world.token)(world.ada))).status_code == 201
