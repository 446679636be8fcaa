"""Websocket addresses, and who may open them: an access token of ours in the Authorization header, or a ticket for it.

A token is never taken from an address. A ticket is, because it opens one socket, once, for half a minute.
"""

import asyncio
import dataclasses
import io
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from channels import db as channels_db
from django import urls
from django.conf import settings
from django.core.handlers import asgi
from rest_framework import exceptions
from rest_framework import request as drf_request

from notifications import consumers
from openvpp.core import clock
from wallets.oauth import authentication
from wallets.usecases import open_socket

CLOSE_NORMAL = 1000
CLOSE_UNAUTHENTICATED = 4401
CLOSE_FORBIDDEN = 4403

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why a socket is closed: a code of 4000 and above, and words."""

    code: int
    reason: str


class Guarded:
    """Let a consumer be reached only with a living token that carries `scopes`.

    Whoever is refused is told why: the socket is accepted and closed at once with a code and a reason. The consumer
    finds the person in `scope["user"]`, and in `scope["refusal"]` a question it can put again at any time: a token
    may expire or be revoked while the socket is open.
    """

    def __init__(self, application: Application, *, scopes: Collection[str]) -> None:
        self._application = application
        self._scopes = list(scopes)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        request = asgi.ASGIRequest({**scope, "type": "http", "method": "GET"}, io.BytesIO())
        ask = channels_db.database_sync_to_async(self._identify, thread_sensitive=False, executor=consumers.READERS)
        look = channels_db.database_sync_to_async(self._look_at, thread_sensitive=False, executor=consumers.READERS)
        token, refusal = await ask(request)
        if refusal is not None:
            await _refuse(refusal, receive, send)
            return
        user, token_id = token.user, token.pk

        async def ask_again() -> Refusal | None:
            return (await look(token_id))[1]  # type: ignore[no-any-return]

        wire = _Wire(receive, send)
        await self._application({**scope, "user": user, "refusal": ask_again}, wire.receive, wire.send)

    def _identify(self, request: asgi.ASGIRequest) -> tuple[Any, Refusal | None]:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in settings.CSRF_TRUSTED_ORIGINS:
            return None, Refusal(CLOSE_FORBIDDEN, "this origin may not open sockets here")
        ticket = request.GET.get("ticket")
        if ticket is not None:
            token_id = open_socket.use_up(ticket=ticket, now=clock.get_now())
            if token_id is None:
                return None, Refusal(CLOSE_UNAUTHENTICATED, "the ticket is unknown, used or too old")
            return self._look_at(token_id)
        try:
            known = authentication.AccessToken().authenticate(drf_request.Request(request))
        except exceptions.APIException:
            known = None
        return self._look_at(known[1].pk if known is not None else None)

    def _look_at(self, token_id: int | None) -> tuple[Any, Refusal | None]:
        """Return a token that may open this address now, or why it may not."""
        token = authentication.get_live_token_by_id(token_id=token_id, now=clock.get_now()) if token_id else None
        if token is None or token.user is None:
            return None, Refusal(CLOSE_UNAUTHENTICATED, "send a valid access token as Authorization: Bearer")
        if not token.allow_scopes(self._scopes):
            return None, Refusal(CLOSE_FORBIDDEN, f"the access token lacks the scope {' '.join(self._scopes)}")
        return token, None


class _Wire:
    """A socket that can be closed while somebody waits for its next frame.

    granian holds back a close until the pending receive has ended, which may be never: so the pending receive is
    cancelled first, and whoever waited for it is told of the disconnection once the close is on its way.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._pending: asyncio.Future[Message] | None = None
        self._closing_code: int | None = None
        self._closed = asyncio.Event()

    async def receive(self) -> Message:
        if self._closing_code is None:
            self._pending = asyncio.ensure_future(self._receive())
            try:
                return await self._pending
            except asyncio.CancelledError:
                if self._closing_code is None:
                    raise
        await self._closed.wait()
        return {"type": "websocket.disconnect", "code": self._closing_code}

    async def send(self, message: Message) -> None:
        if message["type"] != "websocket.close":
            await self._send(message)
            return
        self._closing_code = message.get("code", CLOSE_NORMAL)
        try:
            if self._pending is not None and not self._pending.done():
                self._pending.cancel()
                await asyncio.wait({self._pending})
            await self._send(message)
        finally:
            self._closed.set()


async def unknown_address(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Refuse a socket at an address that does not exist; the handshake answers 403."""
    await receive()
    await send({"type": "websocket.close"})


async def _refuse(refusal: Refusal, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": refusal.code, "reason": refusal.reason})


def _address(route: str, application: Any, *, is_prefix: bool = False) -> Any:
    """Give an ASGI application an address; Django's types know views only."""
    return urls.re_path(route, application) if is_prefix else urls.path(route, application)


urlpatterns: list[Any] = [
    _address("ws/v1/notifications/", Guarded(consumers.Notices.as_asgi(), scopes=["notices:read"])),
    _address("", unknown_address, is_prefix=True),
]
