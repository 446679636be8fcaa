"""The nudge after a commit: the Channels layer. It may be lost; the rows are the truth."""

import asyncio
import logging
from collections.abc import Iterable

import asgiref.sync
import redis.exceptions
from channels import layers

logger = logging.getLogger(__name__)

MESSAGE_TYPE = "notices.changed"
WITHIN_SECONDS = 2.0


def group(*, user_id: int) -> str:
    """Return the name of a person's group."""
    return f"user.{user_id}"


def send(*, user_ids: Iterable[int]) -> None:
    """Tell each person's open sockets to look for new notices; an unreachable broker only costs time."""
    try:
        asgiref.sync.async_to_sync(_send)(list(user_ids))
    except (redis.exceptions.RedisError, OSError):
        logger.warning("channel layer unreachable; sockets find the notices by their timer")


async def _send(user_ids: list[int]) -> None:
    layer = layers.get_channel_layer()
    async with asyncio.timeout(WITHIN_SECONDS):
        for user_id in user_ids:
            await layer.group_send(group(user_id=user_id), {"type": MESSAGE_TYPE})
