"""How often a person may ask: a view's `throttle_scope` names its rate in `DEFAULT_THROTTLE_RATES`."""

import logging
from typing import Any

import redis
from django.core.cache import cache
from rest_framework import throttling

logger = logging.getLogger(__name__)


class ScopedRateThrottle(throttling.ScopedRateThrottle):
    """Counts in one step, so that requests at once do not all pass; a window begins with its first request.

    While Redis does not answer nobody is held back: what moves money has limits of its own.
    """

    _left_seconds = 0

    def allow_request(self, request: Any, view: Any) -> bool:
        self.scope = getattr(view, self.scope_attr, None)
        if not self.scope:
            return True
        most, seconds = self.parse_rate(self.get_rate())
        try:
            count, self._left_seconds = cache.count(self.get_cache_key(request, view), seconds=seconds)  # type: ignore[attr-defined] # ours
        except redis.RedisError:
            logger.warning("Redis does not answer: requests are not counted")
            return True
        return bool(count <= most)

    def wait(self) -> float:
        return float(self._left_seconds)
