"""The nudge after a commit: the Channels layer. It may be lost; the rows are the truth.

The layer is asynchronous: one loop in a thread of its own keeps its connection, and nobody waits for it.
"""

import asyncio
import functools
import logging
import os
import threading
from collections.abc import Iterable
from typing import Any

import redis.exceptions
from channels import layers

logger = logging.getLogger(__name__)

MESSAGE_TYPE = "notices.changed"
WITHIN_SECONDS = 2.0


def group(*, user_id: int) -> str:
    """Return the name of a person's group."""
    return f"user.{user_id}"


def send(*, user_ids: Iterable[int]) -> None:
    """Tell each person's open sockets to look for new notices, without waiting for the broker."""
    layer = layers.get_channel_layer()
    asyncio.run_coroutine_threadsafe(_send(layer, list(user_ids)), _loop(os.getpid()))


@functools.cache
def _loop(_pid: int, /) -> asyncio.AbstractEventLoop:
    """Return this process's loop; a forked child has its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hints", daemon=True).start()
    return loop


async def _send(layer: Any, user_ids: list[int]) -> None:
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            for user_id in user_ids:
                await layer.group_send(group(user_id=user_id), {"type": MESSAGE_TYPE})
    except (redis.exceptions.RedisError, OSError):
        logger.warning("channel layer unreachable; sockets find the notices by their timer")
