"""Django's cache in Redis, with clients and connections that are kept: to make one costs ten times what it asks."""

import threading
from typing import Any

import redis
from django.core.cache.backends import redis as backend


class _Client(backend.RedisCacheClient):
    """Keeps one client to read and one to write with, of one server; threads may share them."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._kept: dict[bool, Any] = {}
        self._own = threading.local()

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        if write not in self._kept:
            self._kept[write] = super().get_client(key, write=write)
        return self._kept[write]

    def count(self, key: str, seconds: int) -> tuple[int, int]:
        count, left = self._ask("EVAL", _COUNT, 1, key, seconds)
        return int(count), int(left)

    def _ask(self, *command: str | int) -> Any:
        """Return the answer to a command, asked on a connection of this thread's own: a pool takes longer than Redis.

        If Redis closed it since it was last used, the command is asked again on a new one, and may be done twice.
        """
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self.get_client(write=True).connection_pool.make_connection()
        was_open = connection.is_connected
        try:
            connection.send_command(*command)
            return connection.read_response()
        except redis.ConnectionError:
            if not was_open:
                raise
            connection.send_command(*command)
            return connection.read_response()


_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('TTL', KEYS[1])}
"""


class RedisCache(backend.RedisCache):
    """The backend of `CACHES`."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._class = _Client

    def count(self, key: str, *, seconds: int) -> tuple[int, int]:
        """Count once more under a key, which ends so many seconds after its first; return the count and what is left.

        :raises redis.RedisError: Redis does not answer.
        """
        client: Any = self._cache
        counted: tuple[int, int] = client.count(self.make_and_validate_key(key), seconds)
        return counted
