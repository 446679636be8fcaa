"""Meter data and a tariff become a bill, its lines, its booking and a notice, in one transaction."""

import collections
import dataclasses
import datetime
import zoneinfo
from collections.abc import Iterable, Iterator, Sequence

from billing import models, operations, queries
from billing.adapters import urdb
from billing.domain import bill as rated_bills
from billing.domain import currencies, ledger, loads, rating, settlement, statements
from billing.usecases import adjust_bill, notices, price_load, read_load
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors
from openvpp.core import period as periods

DUE_AFTER = datetime.timedelta(days=21)
NANO_PER_CENT = 10**7


class UnableToIssueBill(errors.UnableTo):
    """There is no bill for this period; `code` says what is missing or in the way."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One agreement under one version of its tariff."""

    agreement: customer_models.ServiceAgreement
    tariff: models.Tariff
    days: loads.BillingPeriod


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RatedSpan:
    """A span with what rating makes of it, and the lines that the utility's rules add."""

    span: Span
    rated: rated_bills.RatedBill
    added: tuple[rated_bills.Line, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RatedAccount:
    """All that a bill says before it is written: its spans, and what settles it."""

    starts_on: datetime.date
    ends_on: datetime.date
    spans: tuple[RatedSpan, ...]
    settled: settlement.Settled

    @property
    def lines(self) -> tuple[rated_bills.Line, ...]:
        """Return all its lines."""
        charged = (line for each in self.spans for line in (*each.rated.lines, *each.added))
        return (*charged, *self.settled.lines)

    @property
    def total_nano(self) -> int:
        """Return what the lines sum to."""
        return sum(line.amount_nano for line in self.lines)


@db.transaction
def issue_bill(
    *, account_id: int, starts_on: datetime.date, ends_on: datetime.date, now: datetime.datetime
) -> models.Bill:
    """Rate what an account used on the local days `[starts_on, ends_on)` and issue the bill; once for each period.

    :raises UnableToIssueBill: the period is not over or overlaps another bill's, no service, no tariff in force.
    :raises rating.UnableToRate: meter data do not cover the period; the detail names the first gap.
    :raises meter_queries.UnableToReadUsage: meters of different multipliers stood at a point on one day.
    """
    account = customer_queries.lock_account(account_id=account_id)
    existing = find(account=account, starts_on=starts_on, ends_on=ends_on)
    if existing is not None:
        return existing
    check_is_over(utility=account.utility, ends_on=ends_on, now=now)
    books = adjust_bill.read(
        utility_id=account.utility_id, starts_on=starts_on, ends_on=ends_on, account_ids=[account.pk]
    )
    found = rate_account(account=account, starts_on=starts_on, ends_on=ends_on, books=books)
    return write_rated(account=account, found=found, now=now)


def check_is_over(*, utility: customer_models.Utility, ends_on: datetime.date, now: datetime.datetime) -> None:
    """Refuse a period that is still going on.

    :raises UnableToIssueBill: it is.
    """
    if periods.local_midnight(day=ends_on, zone=zoneinfo.ZoneInfo(utility.time_zone)) > now:
        raise UnableToIssueBill("The period is not over.", code="period_not_over")


def rate_account(
    *,
    account: customer_models.CustomerAccount,
    starts_on: datetime.date,
    ends_on: datetime.date,
    books: adjust_bill.Rulebooks,
    taken_over: Sequence[rated_bills.Line] = (),
) -> RatedAccount:
    """Return what an account's bill of the local days `[starts_on, ends_on)` says; nothing is written.

    `taken_over` are the lines of what stands for a bill that this one corrects.

    :raises UnableToIssueBill: the period is none, no service, no tariff in force.
    :raises rating.UnableToRate: meter data do not cover the period; the detail names the first gap.
    :raises meter_queries.UnableToReadUsage: meters of different multipliers stood at a point on one day.
    """
    if ends_on <= starts_on:
        raise UnableToIssueBill("The period is not over.", code="period_not_over")
    currencies.check(currency=account.utility.currency)
    zone = zoneinfo.ZoneInfo(account.utility.time_zone)
    remainders = queries.get_remainders(account_ids=[account.pk]).get(account.pk, [])
    spans = list(_spans(account=account, starts_on=starts_on, ends_on=ends_on, zone=zone))
    rated: list[tuple[Span, rated_bills.RatedBill]] = []
    for span in spans:
        rated.append((span, _rate(span=span, remainders=remainders)))
        remainders.append(remainder_of(span=span, rated=rated[-1][1]))
    return adjusted(
        account_id=account.pk, starts_on=starts_on, ends_on=ends_on, rated=rated, books=books, taken_over=taken_over
    )


def adjusted(
    *,
    account_id: int,
    starts_on: datetime.date,
    ends_on: datetime.date,
    rated: Sequence[tuple[Span, rated_bills.RatedBill]],
    books: adjust_bill.Rulebooks,
    taken_over: Sequence[rated_bills.Line] = (),
) -> RatedAccount:
    """Return rated spans with what the utility's rules add to them, and what settles the bill."""
    spans = [span for span, _ in rated]
    each = tuple(
        RatedSpan(
            span=span,
            rated=one,
            added=books.charge(
                rated=one,
                account_id=account_id,
                service_point_id=span.agreement.service_point_id,
                tariff_code=span.tariff.code,
                reading=statements.read_terms(saved=span.tariff.terms),
                is_main=_is_main(span=span, spans=spans),
            ),
        )
        for span, one in rated
    )
    charged_nano = sum(line.amount_nano for item in each for line in (*item.rated.lines, *item.added))
    settled = books.settle(account_id=account_id, charged_nano=charged_nano, ends_on=ends_on, taken_over=taken_over)
    return RatedAccount(starts_on=starts_on, ends_on=ends_on, spans=each, settled=settled)


def remainder_of(*, span: Span, rated: rated_bills.RatedBill) -> statements.Remainder:
    """Return what a rated span leaves for later bills."""
    return statements.Remainder.of(
        rated=rated, service_point_id=span.agreement.service_point_id, tariff_id=span.tariff.pk
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A bill in place of a cancelled one."""

    corrects: models.Bill
    reason: str
    user: customer_models.User


@db.transaction_required
def write_rated(
    *,
    account: customer_models.CustomerAccount,
    found: RatedAccount,
    correction: Correction | None = None,
    now: datetime.datetime,
) -> models.Bill:
    """Write the bill of a rated account, book it, and tell the account's people."""
    utility = account.utility
    total_cents = to_cents(found.total_nano)
    lines = [
        _to_row(line=line, span=each.span, days=(each.span.days.starts_on, each.span.days.ends_on))
        for each in found.spans
        for line in (*each.rated.lines, *each.added)
    ]
    whole = (found.starts_on, found.ends_on)
    lines += [_to_row(line=line, span=None, days=whole) for line in found.settled.lines]
    issued = models.Bill(
        utility=utility,
        account=account,
        source=models.Bill.Source.RATED,
        number=number_of(account=account, ends_on=found.ends_on),
        starts_on=found.starts_on,
        ends_on=found.ends_on,
        time_zone=utility.time_zone,
        currency=utility.currency,
        total_cents=total_cents,
        amount_due_cents=max(0, total_cents),
        brought_forward_cents=to_cents(found.settled.brought_nano),
        carried_forward_cents=to_cents(found.settled.carried_nano),
        due_on=now.astimezone(zoneinfo.ZoneInfo(utility.time_zone)).date() + DUE_AFTER,
        issued_at=now,
        rating=[remainder_of(span=each.span, rated=each.rated).to_json() for each in found.spans],
        corrects=correction.corrects if correction else None,
        correction_reason=correction.reason if correction else "",
        correction_made_by=correction.user if correction else None,
    )
    write_issued(bill=issued, lines=lines, used=found.settled.used, now=now)
    return issued


@db.transaction_required
def write_issued(
    *,
    bill: models.Bill,
    lines: list[models.BillLine],
    used: Sequence[tuple[int, int]] = (),
    now: datetime.datetime,
) -> None:
    """Write a bill with its lines in their order, book it, leave what it is below zero, and tell the account's people.

    `used` is what it takes of which credits, in nano-units.
    """
    bill.save(force_insert=True)
    for position, line in enumerate(lines, start=1):
        line.bill, line.position = bill, position
    models.BillLine.objects.bulk_create(lines)
    models.CreditUse.objects.bulk_create(
        models.CreditUse(credit_id=reference, bill=bill, amount_nano=amount_nano) for reference, amount_nano in used
    )
    operations.leave_credits(bills=[bill], now=now)
    operations.book(
        account_id=bill.account_id,
        utility_id=bill.utility_id,
        kind=models.LedgerTransaction.Kind.BILL,
        postings=ledger.bill_issued(
            currency=bill.currency,
            billed=billed_of(total_cents=bill.total_cents, amounts=[(line.kind, line.amount_nano) for line in lines]),
        ),
        bill=bill,
        now=now,
    )
    notices.tell_bill_issued(bill=bill, now=now)


def billed_of(*, total_cents: int, amounts: Iterable[tuple[str, int]]) -> ledger.Billed:
    """Return what lines come to for the books; a tax that is no whole cents is rounded, and revenue has the rest."""
    sums: dict[str, int] = collections.defaultdict(int)
    for kind, amount_nano in amounts:
        sums[kind] += amount_nano
    kinds = rated_bills.LineKind
    return ledger.Billed(
        total_cents=total_cents,
        tax_cents=rated_bills.divide_half_even(sums[kinds.TAX], NANO_PER_CENT),
        credits_cents=to_cents(sums[kinds.CREDIT] + sums[kinds.BROUGHT_FORWARD] + sums[kinds.CREDIT_USED]),
        deposit_cents=to_cents(sums[kinds.PREPAID]),
        budget_cents=rated_bills.divide_half_even(sums[kinds.BUDGET], NANO_PER_CENT),
        paid_before_cents=to_cents(sums[kinds.PAID_BEFORE]),
    )


def find(
    *, account: customer_models.CustomerAccount, starts_on: datetime.date, ends_on: datetime.date
) -> models.Bill | None:
    """Return the standing bill of a period, or None.

    :raises UnableToIssueBill: a bill of another period has some of its days.
    """
    standing = account.bills.filter(source=models.Bill.Source.RATED).exclude(state=models.Bill.State.CANCELLED)
    overlapping: models.Bill | None = standing.filter(starts_on__lt=ends_on, ends_on__gt=starts_on).first()
    if overlapping is None or (overlapping.starts_on, overlapping.ends_on) == (starts_on, ends_on):
        return overlapping
    raise UnableToIssueBill(
        f"Bill {overlapping.number} covers some of these days.",
        code="period_overlaps",
        extra={"bill_id": str(overlapping.pk)},
    )


def _spans(
    *,
    account: customer_models.CustomerAccount,
    starts_on: datetime.date,
    ends_on: datetime.date,
    zone: zoneinfo.ZoneInfo,
) -> Iterator[Span]:
    statement = statements.Days(starts_on, ends_on)
    whole = periods.Period(
        periods.local_midnight(day=starts_on, zone=zone), periods.local_midnight(day=ends_on, zone=zone)
    )
    agreements = customer_queries.service_at(account_id=account.pk, period=whole)
    if not agreements:
        raise UnableToIssueBill("The account took no service in this period.", code="no_service")
    for agreement in agreements:
        served = statements.Days(agreement.starts_on, agreement.ends_on).within(statement)
        if served is not None:
            yield from _spans_by_tariff(agreement=agreement, served=served, zone=zone)


def _spans_by_tariff(
    *, agreement: customer_models.ServiceAgreement, served: statements.Days, zone: zoneinfo.ZoneInfo
) -> Iterator[Span]:
    day = served.starts_on
    while served.ends_on is not None and day < served.ends_on:
        tariff = queries.get_tariff(utility_id=agreement.account.utility_id, code=agreement.tariff_code, day=day)
        if tariff is None:
            raise UnableToIssueBill(
                f"No version of tariff {agreement.tariff_code} is in force on {day}.", code="no_tariff"
            )
        until = min(served.ends_on, tariff.effective_until or served.ends_on)
        yield Span(agreement=agreement, tariff=tariff, days=loads.BillingPeriod(day, until, zone))
        day = until


def _rate(*, span: Span, remainders: list[statements.Remainder]) -> rated_bills.RatedBill:
    service_point_id = span.agreement.service_point_id
    reading = statements.read_terms(saved=span.tariff.terms)
    tariff = urdb.read(text=span.tariff.document, currency=span.agreement.account.utility.currency)
    try:
        found = read_load.read(
            service_point_id=service_point_id,
            days=span.days,
            wants_reactive=tariff.reactive_nano_per_kvar is not None,
        )
    except read_load.UnableToBillReadings as error:
        raise UnableToIssueBill(error.detail, code=error.code) from error
    load, known_at = price_load.read_prices(load=found.series, reading=reading, utility_id=span.tariff.utility_id)
    rated = rating.rate(
        tariff=tariff,
        load=load,
        period=span.days,
        reading=reading,
        history=statements.history(
            remainders=[item for item in remainders if item.service_point_id == service_point_id], span=span.days
        ),
    )
    return dataclasses.replace(rated, estimates=found.estimates, prices_known_at=known_at)


def _is_main(*, span: Span, spans: list[Span]) -> bool:
    """Say whether no span before it has any of its days at another service point."""
    return not any(
        other.agreement.service_point_id != span.agreement.service_point_id
        and other.days.starts_on < span.days.ends_on
        and span.days.starts_on < other.days.ends_on
        for other in spans[: spans.index(span)]
    )


def _to_row(*, line: rated_bills.Line, span: Span | None, days: tuple[datetime.date, datetime.date]) -> models.BillLine:
    return models.BillLine(
        kind=line.kind.value,
        label=line.label[:200],
        quantity=line.quantity,
        unit=line.unit,
        unit_price_nano=line.unit_price_nano,
        factor_numerator=line.factor.numerator,
        factor_denominator=line.factor.denominator,
        amount_nano=line.amount_nano,
        tariff=span.tariff if span else None,
        service_point=span.agreement.service_point if span else None,
        starts_on=days[0],
        ends_on=days[1],
    )


def number_of(*, account: customer_models.CustomerAccount, ends_on: datetime.date) -> str:
    """Return a number that no bill of the utility has."""
    number = f"{account.number}-{ends_on:%Y%m%d}"
    again = models.Bill.objects.of_utility(account.utility_id).filter(number__startswith=number).count()
    return f"{number}-{again + 1}" if again else number


def to_cents(nano: int) -> int:
    """Return whole cents.

    :raises rating.UnableToRate: they are not whole.
    """
    cents, rest = divmod(nano, NANO_PER_CENT)
    if rest:
        raise rating.UnableToRate("The lines do not sum to whole cents.", code="not_whole_cents")
    return cents
