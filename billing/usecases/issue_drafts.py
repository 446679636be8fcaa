"""A run's drafts, once approved by somebody, become bills: lines, bookings and notices, some hundreds at a time."""

import collections
import datetime
import itertools
import uuid
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import Any

from django.db import connection
from django.db import models as db_models
from psycopg.types import json

from billing import models, operations, queries
from billing.domain import packed_lines, statements
from billing.usecases import adjust_bill, draft_lots, issue_bill, notices, side_threads
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors, jobs

SIZE = 1000
WRITERS = 2  # while one makes rows, the database stores those of the other
STALE = "draft_is_stale"


class UnableToIssueDrafts(errors.UnableTo):
    """The run is not where its drafts can be approved or issued; `code` says why."""


@db.transaction
def approve_run(*, run_id: int, user: customer_models.User, now: datetime.datetime) -> models.BillRun:
    """Approve the drafts of a run as they are: from now on they are issued by a job, and no longer changed.

    :raises UnableToIssueDrafts: it is still being drafted, approved already, or has no drafts.
    """
    run: models.BillRun = models.BillRun.objects.select_for_update(of=("self",)).get(pk=run_id)
    if run.state != models.BillRun.State.DRAFTED:
        raise UnableToIssueDrafts(f"The run is {run.get_state_display().lower()}.", code="run_is_not_drafted")
    if not run.drafts.exists():
        raise UnableToIssueDrafts("The run has no drafts.", code="run_is_empty")
    run.state, run.approved_at, run.approved_by = models.BillRun.State.APPROVED, now, user
    run.save(update_fields=["state", "approved_at", "approved_by"])
    jobs.enqueue(name="billing.issue_drafts", key=f"bill-run:{run.pk}", arguments={"run_id": run.pk}, run_at=now)
    return run


@db.durable
def issue_drafts(
    *,
    run_id: int,
    now: datetime.datetime,
    most: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _issued, _left: None,
) -> int:
    """Issue the drafts of an approved run, each once, and return how many; it may be stopped and started at any point.

    A draft that does not hold any more, because another bill covers its days or credits were used since, is left and
    listed among the run's exceptions. `on_progress` is told how many are issued and how many there were to issue.

    :raises UnableToIssueDrafts: the run is not approved.
    """
    run = models.BillRun.objects.select_related("utility").get(pk=run_id)
    if run.state not in {models.BillRun.State.APPROVED, models.BillRun.State.ISSUED}:
        raise UnableToIssueDrafts("The run is not approved.", code="run_is_not_approved")
    waiting = models.BillDraft.objects.filter(run=run, bill__isnull=True)
    total = waiting.count() if most is None else min(most, waiting.count())
    layouts: dict[int, packed_lines.Layout] = {}
    issued = 0
    with side_threads.open_pool(size=WRITERS, name="issue") as writers:
        going: collections.deque[futures.Future[int]] = collections.deque()
        lots = _next_ids(waiting, total)
        while True:
            for ids in itertools.islice(lots, WRITERS + 1 - len(going)):
                going.append(writers.submit(_issue_some, run=run, ids=ids, layouts=layouts, now=now))
            if not going:
                break
            issued += going.popleft().result()
            on_progress(issued, total)
    if not waiting.exists():
        models.BillRun.objects.filter(pk=run.pk).update(state=models.BillRun.State.ISSUED, issued_at=now)
    return issued


def _next_ids(waiting: "db_models.QuerySet[models.BillDraft]", most: int) -> Iterator[list[int]]:
    """Yield the ids of each lot, asked for when it is wanted; of so many drafts in all."""
    after = 0
    while most and (
        ids := list(waiting.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[: min(SIZE, most)])
    ):
        yield ids
        most -= len(ids)
        after = ids[-1]


def read_spans(*, draft: models.BillDraft, layouts: dict[int, packed_lines.Layout]) -> list[packed_lines.Span]:
    """Return a draft's spans with their lines; `layouts` keeps what was read."""
    packed = bytes(draft.spans)
    missing = set(packed_lines.layouts_in(packed)) - layouts.keys()
    if missing:
        rows = models.LineLayout.objects.filter(pk__in=missing)
        layouts.update((row.pk, packed_lines.Layout.from_json(row.content)) for row in rows)
    return packed_lines.unpack(packed=packed, layouts=layouts)


@db.transaction
def _issue_some(
    *, run: models.BillRun, ids: Sequence[int], layouts: dict[int, packed_lines.Layout], now: datetime.datetime
) -> int:
    drafts = list(
        models.BillDraft.objects.filter(pk__in=db.any_of(ids), bill__isnull=True)
        .select_for_update(of=("self",))
        .order_by("account_id")
    )
    accounts = customer_queries.lock_accounts(account_ids=[draft.account_id for draft in drafts])
    overlapping = queries.get_overlapping(account_ids=list(accounts), starts_on=run.starts_on, ends_on=run.ends_on)
    covered = {row.account_id: row.number for row in overlapping}
    credited = adjust_bill.read_balances(account_ids=list(accounts))
    settled: list[models.BillDraft] = []
    plain: list[tuple[models.BillDraft, list[packed_lines.Span]]] = []
    stale: list[draft_lots.Impossible] = []
    for draft in drafts:
        spans = read_spans(draft=draft, layouts=layouts)
        if draft.account_id in covered:
            detail = f"Bill {covered[draft.account_id]} covers some of these days."
            stale.append(draft_lots.Impossible(draft.account_id, "period_overlaps", detail))
        elif draft.account_id in credited or any(span.layout.tariff_id is None for span in spans):
            settled.append(draft)
        else:
            plain.append((draft, spans))
    bills = _write(run=run, drafts=plain, accounts=accounts, now=now)
    for draft in settled:
        bill = _issue_settled(run=run, draft=draft, account=accounts[draft.account_id], now=now)
        if bill is None:
            detail = "Credits, budget or prepayment of the account changed since it was drafted."
            stale.append(draft_lots.Impossible(draft.account_id, STALE, detail))
        else:
            bills[draft.pk] = bill.pk
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_billdraft AS draft SET bill_id = made.bill_id "
            "FROM unnest(%s::bigint[], %s::uuid[]) AS made (draft_id, bill_id) WHERE draft.id = made.draft_id",
            [list(bills), list(bills.values())],
        )
    _write_exceptions(run=run, stale=stale, now=now)
    return len(bills)


def _issue_settled(
    *,
    run: models.BillRun,
    draft: models.BillDraft,
    account: customer_models.CustomerAccount,
    now: datetime.datetime,
) -> models.Bill | None:
    """Issue a bill that uses credits, a budget or prepayment as they are now; None if it is not what was approved."""
    books = adjust_bill.read(
        utility_id=run.utility_id, starts_on=run.starts_on, ends_on=run.ends_on, account_ids=[account.pk]
    )
    found = issue_bill.rate_account(account=account, starts_on=run.starts_on, ends_on=run.ends_on, books=books)
    if issue_bill.to_cents(found.total_nano) != draft.total_cents:
        return None
    return issue_bill.write_rated(account=account, found=found, now=now)


def _write(
    *,
    run: models.BillRun,
    drafts: Sequence[tuple[models.BillDraft, list[packed_lines.Span]]],
    accounts: Mapping[int, customer_models.CustomerAccount],
    now: datetime.datetime,
) -> dict[int, uuid.UUID]:
    """Write bills with all that hangs on them, and return them by draft."""
    numbers = _numbers(run=run, accounts=[accounts[draft.account_id] for draft, _ in drafts])
    due_on = now.astimezone(zoneinfo.ZoneInfo(run.utility.time_zone)).date() + issue_bill.DUE_AFTER
    bills = [
        models.Bill(
            utility=run.utility,
            account_id=draft.account_id,
            source=models.Bill.Source.RATED,
            number=numbers[draft.account_id],
            starts_on=run.starts_on,
            ends_on=run.ends_on,
            time_zone=run.utility.time_zone,
            currency=run.utility.currency,
            total_cents=draft.total_cents,
            amount_due_cents=draft.amount_due_cents,
            carried_forward_cents=max(0, -draft.total_cents),
            due_on=due_on,
            issued_at=now,
            rating=[_remainder(span).to_json() for span in spans],
        )
        for draft, spans in drafts
    ]
    of_drafts = list(zip(bills, (spans for _, spans in drafts), strict=True))
    operations.copy_in(model=models.Bill, rows=map(_bill_row, bills))
    operations.copy_in(model=models.BillLine, rows=(row for bill, spans in of_drafts for row in _lines(bill, spans)))
    operations.leave_credits(bills=bills, now=now)
    operations.book_bills(
        bills=bills,
        billed=[
            issue_bill.billed_of(
                total_cents=bill.total_cents,
                amounts=((line.kind, line.amount_nano) for span in spans for line in span.lines),
            )
            for bill, spans in of_drafts
        ],
        now=now,
    )
    notices.tell_bills_issued(bills=bills, now=now)
    return {draft.pk: bill.pk for (draft, _), bill in zip(drafts, bills, strict=True)}


def _bill_row(bill: models.Bill) -> dict[str, Any]:
    fields = models.Bill._meta.concrete_fields  # noqa: SLF001 - documented
    row = {field.attname: getattr(bill, field.attname) for field in fields}
    return row | {"rating": json.Jsonb(bill.rating)}


def _lines(bill: models.Bill, spans: Sequence[packed_lines.Span]) -> Iterator[dict[str, Any]]:
    rows = ((span, line) for span in spans for line in span.lines)
    for position, (span, line) in enumerate(rows, start=1):
        yield {
            "bill_id": bill.pk,
            "position": position,
            "kind": line.kind.value,
            "label": line.label[:200],
            "quantity": line.quantity,
            "unit": line.unit,
            "unit_price_nano": line.unit_price_nano,
            "factor_numerator": line.factor.numerator,
            "factor_denominator": line.factor.denominator,
            "amount_nano": line.amount_nano,
            "tariff_id": span.layout.tariff_id,
            "service_point_id": span.service_point_id,
            "starts_on": span.layout.starts_on,
            "ends_on": span.layout.ends_on,
        }


def _remainder(span: packed_lines.Span) -> statements.Remainder:
    return statements.Remainder(
        service_point_id=span.service_point_id,
        tariff_id=span.layout.tariff_id or 0,
        starts_on=span.layout.starts_on,
        ends_on=span.layout.ends_on,
        import_milliwh=span.usage.import_milliwh,
        export_milliwh=span.usage.export_milliwh,
        peak_milliw=span.usage.peak_milliw,
        total_nano=span.rated_nano,
        carried_milliwh=span.carried_milliwh,
        omissions=span.layout.omissions,
        estimates=span.layout.estimates,
        prices_known_at=span.layout.prices_known_at,
    )


def _numbers(*, run: models.BillRun, accounts: Sequence[customer_models.CustomerAccount]) -> dict[int, str]:
    """Return a number for each account's bill that no bill of the utility has."""
    wanted = {account.pk: f"{account.number}-{run.ends_on:%Y%m%d}" for account in accounts}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number FROM billing_bill WHERE utility_id = %s AND number = ANY (%s::text[])",
            [run.utility_id, list(wanted.values())],
        )
        taken = {number for (number,) in cursor.fetchall()}
    for account in accounts:
        if wanted[account.pk] in taken:
            wanted[account.pk] = issue_bill.number_of(account=account, ends_on=run.ends_on)
    return wanted


def _write_exceptions(*, run: models.BillRun, stale: Sequence[draft_lots.Impossible], now: datetime.datetime) -> None:
    models.DraftException.objects.filter(run=run, account_id__in=[each.account_id for each in stale]).delete()
    models.DraftException.objects.bulk_create(
        models.DraftException(
            run=run,
            account_id=each.account_id,
            code=each.code,
            detail=each.detail,
            remedy=each.remedy,
            found_at=now,
        )
        for each in stale
    )
