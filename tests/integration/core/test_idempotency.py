"""A money-moving request acts once, however often and however closely it is sent."""

import concurrent.futures
import datetime
import threading
from typing import Any

import pytest
from django import db as django_db

from openvpp.core import clock, errors, idempotency, models

pytestmark = pytest.mark.django_db(transaction=True)


def send(
    act: Any, *, body: dict[str, Any] | None = None, key: str = "k", resume: Any = lambda: None
) -> tuple[int, Any]:
    return idempotency.answer_once(
        user_id=None,
        application_id=1,
        key=key,
        method="POST",
        path="/pay/",
        body=body or {"amount_units": "5"},
        now=clock.get_now(),
        act=act,
        resume=resume,
    )


def test_second_request_gets_the_first_answer() -> None:
    answers = iter([(202, {"n": 1}), (202, {"n": 2})])
    assert send(lambda: next(answers)) == (202, {"n": 1})
    assert send(lambda: next(answers)) == (202, {"n": 1})
    assert next(answers) == (202, {"n": 2})


def test_same_key_with_another_body_is_refused() -> None:
    send(lambda: (202, {}))
    with pytest.raises(idempotency.UnableToRepeatRequest) as caught:
        send(lambda: (202, {}), body={"amount_units": "6"})
    assert caught.value.code == "idempotency_key_reused"


def test_key_is_free_again_after_a_refusal() -> None:
    def refuse() -> tuple[int, Any]:
        raise errors.UnableTo("no")

    with pytest.raises(errors.UnableTo):
        send(refuse)
    assert models.IdempotentRequest.objects.count() == 0
    assert send(lambda: (202, {"n": 1})) == (202, {"n": 1})


def test_what_a_dead_process_had_done_is_answered_and_not_done_again() -> None:
    send(lambda: (202, {"n": 1}))
    models.IdempotentRequest.objects.update(
        status=None, body=None, leased_until=clock.get_now() - datetime.timedelta(seconds=1)
    )
    answers = iter([(202, {"n": 2})])
    assert send(lambda: next(answers), resume=lambda: (202, {"n": 1})) == (202, {"n": 1})
    assert send(lambda: next(answers)) == (202, {"n": 1})
    assert next(answers) == (202, {"n": 2})


def test_what_a_dead_process_had_not_done_is_done() -> None:
    send(lambda: (202, {"n": 1}))
    models.IdempotentRequest.objects.update(
        status=None, body=None, leased_until=clock.get_now() - datetime.timedelta(seconds=1)
    )
    assert send(lambda: (202, {"n": 2}), resume=lambda: None) == (202, {"n": 2})


def test_twenty_at_once_act_once() -> None:
    acted: list[int] = []
    started = threading.Barrier(20)

    def act() -> tuple[int, Any]:
        acted.append(1)
        return 202, {"n": 1}

    def one(_: int) -> str:
        try:
            started.wait()
            return str(send(act))
        except idempotency.UnableToRepeatRequest as error:
            return error.code
        finally:
            django_db.connection.close()

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        results = set(pool.map(one, range(20)))
    assert acted == [1]
    assert results <= {"(202, {'n': 1})", "idempotency_key_in_use"}
    assert "(202, {'n': 1})" in results
