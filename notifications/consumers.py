"""The socket on which a phone is told things: a hint wakes it, the rows are what it sends.

The caller is known before this module is reached (`openvpp.sockets`): `scope["user"]` is the person and
`scope["refusal"]` says, whenever asked, why the socket must close now, or None.
"""

import asyncio
import collections
import contextlib
import json
import logging
import urllib.parse
from concurrent import futures
from typing import Any

import redis.exceptions
from asgiref import sync
from channels import db as channels_db
from channels.generic import websocket
from rest_framework.utils import encoders

from customers import models as customer_models
from notifications import queries
from notifications.adapters import hints

logger = logging.getLogger(__name__)

BATCH = 50
RECHECK_SECONDS = 5.0
PING_SECONDS = 25.0
MAX_FRAME_CHARACTERS = 1024
MAX_SEQUENCE = 2**63 - 1
MAX_DIGITS = 19
# Of one person, in one process: each asks the database every few seconds.
MOST_SOCKETS = 20
CLOSE_BAD_REQUEST = 4400
CLOSE_TOO_MANY = 4429
CLOSE_INTERNAL = 1011
READERS = futures.ThreadPoolExecutor(max_workers=4, thread_name_prefix="notices")
_open: collections.Counter[int] = collections.Counter()


class Notices(websocket.AsyncWebsocketConsumer):
    """`/ws/v1/notifications/?after=<sequence>`: every later notice of the person, in order, then live.

    Frames to the phone: `{"type": "notice", ...}`, `{"type": "caught_up", "after": n}` once the past is sent, and
    `{"type": "ping"}`. The phone may send `{"type": "ping"}` and gets `{"type": "pong"}`.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        person_id: int = scope["user"].pk
        _open[person_id] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            _open[person_id] -= 1
            if not _open[person_id]:
                del _open[person_id]

    async def connect(self) -> None:
        await self.accept()
        if _open[self.scope["user"].pk] > MOST_SOCKETS:
            await self.close(code=CLOSE_TOO_MANY, reason=f"at most {MOST_SOCKETS} sockets at once")
            return
        after = _read_after(self.scope["query_string"])
        if after is None:
            await self.close(code=CLOSE_BAD_REQUEST, reason="after must be a whole number from 0")
            return
        self._after = after
        self._wake = asyncio.Event()
        self._is_listening = await self._listen()
        self._delivery = asyncio.create_task(self._deliver())

    async def disconnect(self, code: int) -> None:
        if (delivery := getattr(self, "_delivery", None)) is None:
            return
        if delivery is not asyncio.current_task():
            delivery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await delivery
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self.channel_layer.group_discard(self._group, self.channel_name)

    async def notices_changed(self, message: dict[str, Any]) -> None:
        self._wake.set()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data is None or len(text_data) > MAX_FRAME_CHARACTERS or not _is_ping(text_data):
            await self.close(code=CLOSE_BAD_REQUEST, reason='only {"type": "ping"} may be sent here')
            return
        await self._say({"type": "pong"})

    @property
    def _group(self) -> str:
        return hints.group(user_id=self.scope["user"].pk)

    async def _listen(self) -> bool:
        try:
            await self.channel_layer.group_add(self._group, self.channel_name)
        except (redis.exceptions.RedisError, OSError):
            return False
        return True

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        pinged_at, caught_up = loop.time(), False
        try:
            while True:
                self._wake.clear()
                if (refusal := await self.scope["refusal"]()) is not None:
                    await self.close(code=refusal.code, reason=refusal.reason)
                    return
                while batch := await _read(self.scope["user"], self._after):
                    for message in batch:
                        await self._say({"type": "notice"} | message)
                        self._after = message["sequence"]
                    if len(batch) == BATCH and await self.scope["refusal"]() is not None:
                        break
                if not caught_up:
                    await self._say({"type": "caught_up", "after": self._after})
                    caught_up = True
                if loop.time() - pinged_at >= PING_SECONDS:
                    await self._say({"type": "ping"})
                    pinged_at = loop.time()
                self._is_listening = self._is_listening or await self._listen()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), timeout=RECHECK_SECONDS)
        except Exception:
            logger.exception("notices socket failed")
            await self.close(code=CLOSE_INTERNAL, reason="try again shortly")

    async def _say(self, message: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(message, cls=encoders.JSONEncoder, separators=(",", ":")))


async def _read(user: customer_models.User, after: int) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        return [queries.as_message(notice) for notice in queries.get_notices_after(user=user, after=after)[:BATCH]]

    reading: sync.SyncToAsync[[], list[dict[str, Any]]] = channels_db.database_sync_to_async(
        read, thread_sensitive=False, executor=READERS
    )
    return await reading()


def _read_after(query_string: bytes) -> int | None:
    values = urllib.parse.parse_qs(query_string.decode("latin1")).get("after", ["0"])
    digits = values[-1]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS) or int(digits) > MAX_SEQUENCE:
        return None
    return int(digits)


def _is_ping(text: str) -> bool:
    try:
        frame = json.loads(text)
    except ValueError:
        return False
    return isinstance(frame, dict) and frame.get("type") == "ping"
