"""Requests are counted in one step, and a connection that the server closed is not used again."""

import concurrent.futures
import contextlib
import pathlib
import secrets
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django import db
from django.core.cache import cache
from rest_framework import exceptions, response, test, views

from openvpp.core import cache as redis_cache
from openvpp.core import throttling
from openvpp.stack import embedded, layout


class _Limited(views.APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (throttling.ScopedRateThrottle,)
    throttle_scope = "claim"  # ten an hour

    def get(self, _request: object) -> response.Response:
        return response.Response({})


def ask(address: str) -> int:
    return int(_Limited.as_view()(test.APIRequestFactory().get("/", REMOTE_ADDR=address)).status_code)


def test_requests_at_once_do_not_all_pass() -> None:
    address = f"2001:db8::{secrets.token_hex(2)}:{secrets.token_hex(2)}"

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, [address] * 30))

    assert (answers.count(200), answers.count(429)) == (10, 20)
    refused = _Limited.as_view()(test.APIRequestFactory().get("/", REMOTE_ADDR=address))
    assert refused.data["code"] == exceptions.Throttled.default_code
    assert 3590 <= int(refused["Retry-After"]) <= 3601


def test_nobody_is_held_back_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(redis_cache.RedisCache, "count", refuse)

    assert ask("2001:db8::1") == 200


def test_a_count_ends_by_itself() -> None:
    key = secrets.token_hex(8)

    assert [cache.count(key, seconds=60) for _ in range(2)] == [(1, 60), (2, 60)]  # type: ignore[attr-defined] # ours


def test_redis_may_close_a_connection_between_counts(redis_url: str) -> None:
    key = secrets.token_hex(8)
    assert cache.count(key, seconds=60) == (1, 60)  # type: ignore[attr-defined] # ours

    with redis.Redis.from_url(redis_url) as other:
        assert int(other.client_kill_filter(_type="normal", skipme=True)) >= 1

    assert cache.count(key, seconds=60) == (2, 60)  # type: ignore[attr-defined] # ours


def test_counting_goes_on_with_a_redis_that_was_away(tmp_path: pathlib.Path) -> None:
    service = embedded.Redis(directory=tmp_path, port=layout.free_port(), password="tests", durable=False)
    service.prepare()
    kept: Any = redis_cache.RedisCache(service.url, {})

    with pytest.raises(redis.ConnectionError):
        kept.count("key", seconds=60)
    for _ in range(2):
        with running(service):
            assert kept.count("key", seconds=60) == (1, 60)
            assert kept.count("key", seconds=60) == (2, 60)
        with pytest.raises(redis.ConnectionError):
            kept.count("key", seconds=60)


@contextlib.contextmanager
def running(service: embedded.Redis) -> Iterator[None]:
    with subprocess.Popen(service.command, stdout=subprocess.DEVNULL) as process:
        while not service.answers():
            assert process.poll() is None
            time.sleep(0.01)
        yield
        process.terminate()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_closed_is_made_anew() -> None:
    with db.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((before,),) = cursor.fetchall()
    assert db.connection.is_usable()
    other = db.connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    other.close()

    assert not db.connection.is_usable()
    kept: Any = db.connection
    kept.health_check_enabled, kept.health_check_done = True, False
    with db.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((after,),) = cursor.fetchall()
    assert after != before
