"""Is the process alive, and can it serve: each part that it needs is asked and named."""

import functools
import logging
import time
from collections.abc import Callable

import redis
from django import db, http
from django.conf import settings
from django.db.migrations import executor
from django.views.decorators import cache
from django.views.decorators import http as http_decorators

from openvpp.core import errors, nodes
from openvpp.core import http as outbound

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0


class NotReady(Exception):
    """Why a part cannot be used, in words without secrets."""


@http_decorators.require_safe
@cache.never_cache
def live(_request: http.HttpRequest) -> http.JsonResponse:
    """Say that the process answers."""
    return http.JsonResponse({"status": "alive"})


@http_decorators.require_safe
@cache.never_cache
def ready(_request: http.HttpRequest) -> http.JsonResponse:
    """Say whether each part answers: 200 when all do, 503 when one does not."""
    checks = {name: _ask(name, check) for name, check in CHECKS.items()}
    is_ready = all(check["ok"] for check in checks.values())
    return http.JsonResponse(
        {"status": "ready" if is_ready else "not ready", "checks": checks}, status=200 if is_ready else 503
    )


def _ask(name: str, check: Callable[[], None]) -> dict[str, object]:
    started = time.monotonic()
    problem = ""
    try:
        check()
    except NotReady as error:
        problem = str(error)
    except (db.Error, redis.RedisError, errors.Unreachable, errors.Refused, OSError) as error:
        logger.warning("%s is not ready: %s", name, type(error).__name__)
        problem = "does not answer"
    answer: dict[str, object] = {"ok": not problem, "answered_in_ms": round((time.monotonic() - started) * 1000, 1)}
    return answer | ({"problem": problem} if problem else {})


def _database() -> None:
    with db.connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    missing = _missing_migrations()
    if missing:
        raise NotReady(f"not all applied, {missing} missing: run manage.py migrate")


def _missing_migrations() -> int:
    if _all_migrated.cache_info().currsize:
        return 0
    migrations = executor.MigrationExecutor(db.connection)
    missing = len(migrations.migration_plan(migrations.loader.graph.leaf_nodes()))
    if not missing:
        _all_migrated()
    return missing


@functools.cache
def _all_migrated() -> bool:
    """Remember that nothing is missing: the code of a running process does not change."""
    return True


def _redis() -> None:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
    )
    try:
        client.ping()
    finally:
        client.close()


def _chain() -> None:
    chain_id = nodes.node().chain_id()
    if chain_id != settings.CHAIN_ID:
        raise NotReady(f"answers for chain {chain_id}, not {settings.CHAIN_ID}")


def _signer() -> None:
    try:
        outbound.Client(base_url=settings.SIGNER_URL, timeout=ANSWER_SECONDS).get(path="/health")
    except errors.Refused as error:
        if " 404" not in error.reason and " 401" not in error.reason:
            raise


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "chain": _chain,
    "signer": _signer,
}
