"""All bills of a utility for a period, as drafts: nobody owes anything until they are approved and issued.

The run goes through the accounts in the order of their ids, some thousands at a time, each lot in one transaction:
so it may be stopped and started at any point. An account with a draft or a bill of the period is left as it is; one
that failed is tried again.
"""

import collections
import dataclasses
import datetime
import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

from django.db import connection, connections
from django.db import models as db_models
from django.db.models import Exists, OuterRef, Q, functions

from billing import models
from billing.domain import currencies
from billing.usecases import draft_lots, draft_reads, issue_bill, side_threads
from customers import models as customer_models
from openvpp.core import db, errors

_LOCKS = 0x42494C4C  # "BILL": advisory locks of runs
_ACCOUNTS_A_PIECE = 20_000
_READERS = 2  # while one sorts what it has read, the database reads for the other


class UnableToDraftBills(errors.UnableTo):
    """There can be no drafts for this period now; `code` says why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many accounts are done: drafted together with others, alone, billed before, and impossible."""

    together: int = 0
    alone: int = 0
    billed: int = 0
    impossible: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            together=self.together + other.together,
            alone=self.alone + other.alone,
            billed=self.billed + other.billed,
            impossible=self.impossible + other.impossible,
        )

    @property
    def done(self) -> int:
        """Return the number of accounts."""
        return self.together + self.alone + self.billed + self.impossible


@db.durable
def draft_bills(
    *,
    utility_id: int,
    starts_on: datetime.date,
    ends_on: datetime.date,
    now: datetime.datetime,
    workers: int = 1,
    on_progress: Callable[[Progress, int], None] = lambda _done, _total: None,
) -> tuple[models.BillRun, Progress]:
    """Draft the bills of every account served on the local days `[starts_on, ends_on)`.

    `on_progress` is told what is done since the start and how many accounts there are to do. With several `workers`
    each is a process of its own.

    :raises UnableToDraftBills: the period is none or not over, the run is approved, or is being drafted by another.
    """
    run = _open(utility_id=utility_id, starts_on=starts_on, ends_on=ends_on, now=now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, run.pk])
        if not cursor.fetchone()[0]:
            raise UnableToDraftBills("This run is being drafted already.", code="run_is_going_on")
    try:
        total = _waiting(run=run).count()
        done = Progress()
        parts = work(run=run, now=now) if workers == 1 else _work_together(run=run, now=now, workers=workers)
        for part in parts:
            done += part
            on_progress(done, total)
        models.BillRun.objects.filter(pk=run.pk).update(state=models.BillRun.State.DRAFTED, drafted_at=now)
        run.refresh_from_db()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, run.pk])
    return run, done


@db.transaction
def discard_drafts(*, run_id: int, account_ids: Sequence[int] | None = None) -> int:
    """Throw drafts of a run away that are not issued, all or those of some accounts; return how many there were.

    :raises UnableToDraftBills: the run is approved.
    """
    run = models.BillRun.objects.select_for_update().get(pk=run_id)
    _check_open(run)
    drafts = models.BillDraft.objects.filter(run=run, bill__isnull=True)
    if account_ids is not None:
        drafts = drafts.filter(account_id__in=account_ids)
    return int(drafts.delete()[0])


@db.transaction
def _open(
    *, utility_id: int, starts_on: datetime.date, ends_on: datetime.date, now: datetime.datetime
) -> models.BillRun:
    utility = customer_models.Utility.objects.get(pk=utility_id)
    if ends_on <= starts_on:
        raise UnableToDraftBills("The period ends before it starts.", code="period_not_forward")
    try:
        currencies.check(currency=utility.currency)
        issue_bill.check_is_over(utility=utility, ends_on=ends_on, now=now)
    except (issue_bill.UnableToIssueBill, currencies.UnableToBillInCurrency) as error:
        raise UnableToDraftBills(error.detail, code=error.code) from error
    run: models.BillRun
    run, _ = models.BillRun.objects.select_for_update().get_or_create(
        utility=utility, starts_on=starts_on, ends_on=ends_on, defaults={"started_at": now}
    )
    _check_open(run)
    models.BillRun.objects.filter(pk=run.pk).update(state=models.BillRun.State.DRAFTING)
    return run


def _check_open(run: models.BillRun) -> None:
    if run.state in {models.BillRun.State.APPROVED, models.BillRun.State.ISSUED}:
        raise UnableToDraftBills("The run is approved already.", code="run_is_approved")


def _waiting(*, run: models.BillRun) -> "db_models.QuerySet[customer_models.CustomerAccount]":
    """Return the accounts that are served in the run's days and have no draft yet."""
    served = customer_models.ServiceAgreement.objects.filter(
        Q(ends_on__isnull=True) | Q(ends_on__gt=run.starts_on),
        account_id=OuterRef("pk"),
        starts_on__lt=run.ends_on,
    )
    drafted = models.BillDraft.objects.filter(run=run, account_id=OuterRef("pk"))
    return customer_models.CustomerAccount.objects.of_utility(run.utility_id).filter(Exists(served), ~Exists(drafted))


def work(
    *, run: models.BillRun, now: datetime.datetime, above: int = 0, up_to: int | None = None
) -> Iterator[Progress]:
    """Draft the accounts with ids in `(above, up_to]`, lot by lot; the next lots are read while one is rated."""
    maker = draft_lots.Maker(run=run)
    waiting = _waiting(run=run).order_by("pk")
    if up_to is not None:
        waiting = waiting.filter(pk__lte=up_to)
    with side_threads.open_pool(size=_READERS, name="read") as readers:
        coming: collections.deque[futures.Future[draft_reads.Lot]] = collections.deque()
        lots = _next_ids(waiting, above)
        while True:
            for ids in itertools.islice(lots, _READERS + 1 - len(coming)):
                coming.append(readers.submit(draft_reads.read, run=run, account_ids=ids))
            if not coming:
                return
            lot = coming.popleft().result()
            made = maker.make(lot=lot)
            _write(run=run, lot=lot, made=made, now=now)
            yield Progress(
                together=len(made.together),
                alone=len(made.alone),
                billed=len(lot.billed),
                impossible=len(made.impossible),
            )


def _next_ids(waiting: "db_models.QuerySet[customer_models.CustomerAccount]", above: int) -> Iterator[list[int]]:
    """Yield the ids of each lot, asked for when it is wanted."""
    while ids := list(waiting.filter(pk__gt=above).values_list("pk", flat=True)[: draft_lots.SIZE]):
        yield ids
        above = ids[-1]


@db.transaction
def _write(*, run: models.BillRun, lot: draft_reads.Lot, made: draft_lots.Made, now: datetime.datetime) -> None:
    models.DraftException.objects.filter(run=run, account_id__in=db.any_of(lot.account_ids)).delete()
    models.BillDraft.copy_in(rows=[*made.together, *made.alone])
    models.DraftException.objects.bulk_create(
        models.DraftException(
            run=run,
            account_id=each.account_id,
            code=each.code,
            detail=each.detail[:500],
            remedy=each.remedy,
            found_at=now,
        )
        for each in made.impossible
    )


def _work_together(*, run: models.BillRun, now: datetime.datetime, workers: int) -> Iterator[Progress]:
    waiting = _waiting(run=run)
    pieces = max(workers, waiting.count() // _ACCOUNTS_A_PIECE)
    ends: dict[int, int] = {}
    numbered = waiting.annotate(piece=db_models.Window(functions.Ntile(pieces), order_by="pk"))
    for piece, pk in numbered.values_list("piece", "pk").iterator():
        ends[piece] = max(ends.get(piece, 0), pk)
    bounds = [0, *sorted(ends.values())]
    with futures.ProcessPoolExecutor(
        max_workers=workers, mp_context=multiprocessing.get_context("fork"), initializer=_leave_connections
    ) as pool:
        going = [
            pool.submit(_work_apart, run_id=run.pk, now=now, above=above, up_to=up_to)
            for above, up_to in itertools.pairwise(bounds)
        ]
        for piece in futures.as_completed(going):
            yield piece.result()


def _leave_connections() -> None:
    """Forget the connections of the process that this one was forked from: they are still in use there."""
    for each in connections.all():
        each.connection = None


def _work_apart(*, run_id: int, now: datetime.datetime, above: int, up_to: int) -> Progress:
    run = models.BillRun.objects.select_related("utility").get(pk=run_id)
    return sum(work(run=run, now=now, above=above, up_to=up_to), start=Progress())
