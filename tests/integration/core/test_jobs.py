"""Jobs against a real database: once per key, leased, retried, given up."""

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django import db as django_db

from openvpp.core import clock, db, errors, jobs, models

pytestmark = pytest.mark.django_db(transaction=True)
calls: list[dict[str, Any]] = []


def succeed(**kwargs: Any) -> None:
    calls.append(kwargs)


def fail(**_kwargs: Any) -> None:
    raise errors.Unreachable("the other side is away")


def refuse(**_kwargs: Any) -> None:
    raise errors.UnableTo("it cannot be")


@pytest.fixture(autouse=True)
def _table(settings: Any) -> None:
    calls.clear()
    settings.JOBS = {name: f"{__name__}.{name}" for name in ("succeed", "fail", "refuse")}


def enqueue(*, name: str, key: str = "k", run_at: datetime.datetime | None = None) -> None:
    with db.transaction():
        jobs.enqueue(name=name, key=key, arguments={"a": 1}, run_at=run_at or clock.get_now())


@contextlib.contextmanager
def runner_of(job: models.Job) -> Iterator[None]:
    """Another process that runs the job; it is gone at the end."""
    parameters = django_db.connection.get_connection_params()
    with psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "password", "host", "port")}
    ) as other:
        other.execute("SELECT pg_advisory_lock(4338, %s::int)", [job.pk])
        yield


def test_job_runs_once_with_its_arguments() -> None:
    enqueue(name="succeed")
    enqueue(name="succeed")
    assert jobs.run_due(now=clock.get_now()) == 1
    assert jobs.run_due(now=clock.get_now()) == 0
    assert [call["a"] for call in calls] == [1]
    assert models.Job.objects.get().finished_at is not None


def test_job_waits_for_its_time() -> None:
    enqueue(name="succeed", run_at=clock.get_now() + datetime.timedelta(hours=1))
    assert jobs.run_due(now=clock.get_now()) == 0
    assert calls == []


def test_leased_job_is_left_alone_until_the_lease_lapses() -> None:
    enqueue(name="succeed")
    now = clock.get_now()
    models.Job.objects.update(leased_until=now + jobs.LEASE)
    with runner_of(models.Job.objects.get()):
        assert jobs.run_due(now=now) == 0
        assert jobs.run_due(now=now + jobs.LEASE + datetime.timedelta(seconds=1)) == 1
    assert len(calls) == 1


def test_a_job_whose_runner_was_killed_is_taken_up_at_once() -> None:
    enqueue(name="succeed")
    now = clock.get_now()
    models.Job.objects.update(leased_until=now + jobs.LEASE, attempts=1)
    with runner_of(models.Job.objects.get()):
        assert jobs.run_due(now=now) == 0
    assert jobs.run_due(now=now) == 1
    assert (len(calls), models.Job.objects.get().attempts) == (1, 2)


def test_a_runner_that_is_done_holds_nothing() -> None:
    enqueue(name="fail")
    jobs.run_due(now=clock.get_now())
    with django_db.connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE classid = 4338 AND pid = pg_backend_pid()")
        assert cursor.fetchone() == (0,)


def test_failure_is_tried_again_later() -> None:
    enqueue(name="fail")
    now = clock.get_now()
    jobs.run_due(now=now)
    job = models.Job.objects.get()
    assert (job.attempts, job.failed_at, job.leased_until) == (1, None, None)
    assert job.run_at > now
    assert "Unreachable: the other side is away" in job.last_error


def test_job_is_given_up_after_its_last_attempt() -> None:
    enqueue(name="fail")
    models.Job.objects.update(attempts=jobs.MAX_ATTEMPTS - 1)
    jobs.run_due(now=clock.get_now())
    assert models.Job.objects.get().failed_at is not None


def test_job_that_kills_its_worker_each_time_is_given_up() -> None:
    enqueue(name="succeed")
    now = clock.get_now()
    models.Job.objects.update(attempts=jobs.MAX_ATTEMPTS, leased_until=now + jobs.LEASE)

    with runner_of(models.Job.objects.get()):
        assert jobs.run_due(now=now) == 0
        assert models.Job.objects.get().failed_at is None
    assert jobs.run_due(now=now + 2 * jobs.LEASE) == 0

    job = models.Job.objects.get()
    assert (calls, job.failed_at, job.leased_until) == ([], now + 2 * jobs.LEASE, None)
    assert job.last_error == "Its worker ended before it did, at attempt 20."


def test_refusal_is_final() -> None:
    enqueue(name="refuse")
    jobs.run_due(now=clock.get_now())
    job = models.Job.objects.get()
    assert job.failed_at is not None
    assert job.last_error == "it cannot be"


def test_job_of_a_rolled_back_transaction_is_not_there() -> None:
    def change_my_mind() -> None:
        with db.transaction():
            jobs.enqueue(name="succeed", key="k", arguments={}, run_at=clock.get_now())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_my_mind()
    assert models.Job.objects.count() == 0
