"""Work that must not be lost: a row written with its cause, a lease, bounded retries.

Celery (or `run_due` on its beat) only wakes work up; truth is the row. Beside its lease a runner holds an advisory
lock, which the database drops with its connection: what a killed one leaves is taken up at once. The lease itself is
what counts when a connection outlives its runner, or belongs to a pooler. Job functions take keyword arguments of JSON
values plus `now`, open their own transactions, and are safe to run twice.
"""

import datetime
import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import F, Q

from openvpp.core import clock, db, errors, models, sql, upcalls

logger = logging.getLogger(__name__)

LEASE = datetime.timedelta(seconds=60)
MAX_ATTEMPTS = 20
MAX_DELAY_SECONDS = 300


@db.transaction_required
def enqueue(*, name: str, key: str, arguments: Mapping[str, Any], run_at: datetime.datetime) -> None:
    """Write a job into the open transaction; a second one under the same `key` is the same job.

    :raises KeyError: when JOBS has no such name.
    """
    upcalls.resolve(path=settings.JOBS[name])
    created = models.Job.objects.bulk_create(
        [models.Job(name=name, key=key, arguments=dict(arguments), run_at=run_at)], ignore_conflicts=True
    )
    if created:
        db.run_after_commit(_wake)


@db.durable
def run_due(*, now: datetime.datetime, most: int = 50, name: str = "") -> int:
    """Run what is due, one lease each; return how many ran. With `name` only the jobs of that name."""
    ran = 0
    while ran < most and (job := _lease_next(now=clock.get_now() if ran else now, name=name)) is not None:
        try:
            _run(job=job)
        finally:
            sql.fetch("SELECT pg_advisory_unlock(%s::int, %s::int)", [_LOCK_CLASS, job.pk % _NUMBERS])
        ran += 1
    return ran


def _dead(*, now: datetime.datetime) -> list[int]:
    """Return the leased jobs whose runner has no connection to the database any more."""
    rows = models.Job.objects.filter(finished_at__isnull=True, failed_at__isnull=True, leased_until__gte=now)
    leased = list(rows.values_list("pk", flat=True))
    alive = {objid for (objid,) in sql.fetch(_HELD, [_LOCK_CLASS])} if leased else set()
    return [pk for pk in leased if pk % _NUMBERS not in alive]


_LOCK_CLASS, _NUMBERS = 4338, 2**31
_HELD = """
    SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = %s::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def _lease_next(*, now: datetime.datetime, name: str) -> models.Job | None:
    open_jobs = models.Job.objects.filter(finished_at__isnull=True, failed_at__isnull=True)
    open_jobs = open_jobs.filter(name=name) if name else open_jobs
    with db.transaction():
        # A worker that is killed writes nothing down; the lease it leaves behind is all that tells of it.
        dead = _dead(now=now)
        open_jobs.filter(Q(leased_until__lt=now) | Q(pk__in=dead), attempts__gte=MAX_ATTEMPTS).update(
            failed_at=now, leased_until=None, last_error=f"Its worker ended before it did, at attempt {MAX_ATTEMPTS}."
        )
        job = (
            open_jobs.filter(run_at__lte=now)
            .filter(Q(leased_until__isnull=True) | Q(leased_until__lt=now) | Q(pk__in=dead))
            .order_by("run_at", "pk")
            .select_for_update(skip_locked=True)
            .first()
        )
        if job is None:
            return None
        sql.fetch("SELECT pg_try_advisory_lock(%s::int, %s::int)", [_LOCK_CLASS, job.pk % _NUMBERS])
        job.leased_until = now + LEASE
        job.attempts += 1
        job.save(update_fields=["leased_until", "attempts"])
        return job


def _run(*, job: models.Job) -> None:
    rows = models.Job.objects.filter(pk=job.pk, attempts=job.attempts, finished_at__isnull=True)
    try:
        upcalls.resolve(path=settings.JOBS[job.name])(**job.arguments, now=clock.get_now())
    except (errors.UnableTo, errors.Refused) as error:
        logger.warning("job %s refused: %s", job.key, error)
        rows.update(failed_at=clock.get_now(), last_error=str(error)[:500], leased_until=None)
    except Exception as error:
        logger.exception("job %s failed, attempt %s", job.key, job.attempts)
        now = clock.get_now()
        delay = datetime.timedelta(seconds=min(2**job.attempts, MAX_DELAY_SECONDS))
        final = job.attempts >= MAX_ATTEMPTS
        rows.update(
            run_at=now + delay,
            leased_until=None,
            last_error=f"{type(error).__name__}: {error}"[:500],
            failed_at=now if final else F("failed_at"),
        )
    else:
        rows.update(finished_at=clock.get_now(), leased_until=None, last_error="")


def _wake() -> None:
    from openvpp.core import tasks  # noqa: PLC0415 - the task module imports this one

    tasks.wake()
