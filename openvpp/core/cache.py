"""Django's cache in Redis, with a client that is kept: to make one costs ten times what it takes to ask it."""

from typing import Any

from django.core.cache.backends import redis


class _Client(redis.RedisCacheClient):
    """Keeps one client to read and one to write with, of one server; threads may share them."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._kept: dict[bool, Any] = {}
        self._counter: Any = None

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        if write not in self._kept:
            self._kept[write] = super().get_client(key, write=write)
        return self._kept[write]

    def count(self, key: str, seconds: int) -> tuple[int, int]:
        self._counter = self._counter or self.get_client(write=True).register_script(_COUNT)
        count, left = self._counter(keys=[key], args=[seconds])
        return int(count), int(left)


_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('TTL', KEYS[1])}
"""


class RedisCache(redis.RedisCache):
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
