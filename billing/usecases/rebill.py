"""A bill that was wrong is cancelled, and one in its place says what it should have been.

Nothing is rewritten: the old bill keeps its lines, the ledger books the opposite of what it booked, and what was paid
for it is a line of the new one. So the account owes the new amount less the old, whether or not the old was paid.
Credit that the old bill used is free again; credit that it left is withdrawn, and what others used of it is charged.
"""

import collections
import datetime
import uuid
import zoneinfo

from django.db.models import Sum

from billing import models, operations
from billing.adapters import urdb
from billing.domain import bill as rated_bills
from billing.domain import statements, tariffs
from billing.usecases import adjust_bill, issue_bill
from customers import models as customer_models
from customers import queries as customer_queries
from meters import queries as meter_queries
from openvpp.core import db, errors
from openvpp.core import period as periods

State = models.Bill.State


class UnableToRebill(errors.UnableTo):
    """The bill cannot be corrected now; `code` says why. Nothing was changed."""


@db.transaction
def rebill(*, bill_id: uuid.UUID, reason: str, user: customer_models.User, now: datetime.datetime) -> models.Bill:
    """Rate a bill's period again, with the readings and tariffs as they are now, and put a new bill in its place.

    :raises UnableToRebill: no reason, received from elsewhere, cancelled, or a payment is on its way.
    :raises issue_bill.UnableToIssueBill: there is no service or no tariff any more.
    :raises rating.UnableToRate: see `issue_bill.rate_account`.
    """
    account_id = models.Bill.objects.values_list("account_id", flat=True).get(pk=bill_id)
    account = customer_queries.lock_account(account_id=account_id)
    old: models.Bill = models.Bill.objects.select_for_update(of=("self",)).get(pk=bill_id)
    if not reason.strip():
        raise UnableToRebill("Say why the bill is corrected.", code="no_reason")
    if old.source != models.Bill.Source.RATED:
        raise UnableToRebill("Only the system that rated this bill can correct it.", code="bill_is_received")
    if old.state == State.CANCELLED:
        raise UnableToRebill("The bill is cancelled already.", code="bill_is_cancelled")
    if old.state == State.PENDING:
        raise UnableToRebill("A payment of this bill is on its way: wait for it.", code="payment_on_its_way")
    taken_over = _take_over(old)
    old.state = State.CANCELLED
    old.save(update_fields=["state"])
    operations.reverse_bill(bill=old, now=now)
    operations.withdraw_credit(bill=old)
    books = adjust_bill.read(
        utility_id=old.utility_id, starts_on=old.starts_on, ends_on=old.ends_on, account_ids=[account.pk]
    )
    return issue_bill.write_rated(
        account=account,
        found=issue_bill.rate_account(
            account=account, starts_on=old.starts_on, ends_on=old.ends_on, books=books, taken_over=taken_over
        ),
        correction=issue_bill.Correction(corrects=old, reason=reason.strip()[:500], user=user),
        now=now,
    )


def has_truth(*, bill: models.Bill) -> bool:
    """Say whether a standing bill rests on estimates of which some are estimates no more: it should be corrected."""
    if bill.state == State.CANCELLED:
        return False
    zone = zoneinfo.ZoneInfo(bill.time_zone)
    for span in map(statements.Remainder.from_json, bill.rating):
        if span.estimates:
            left = meter_queries.count_estimated(
                service_point_id=span.service_point_id,
                starts_at=periods.local_midnight(day=span.starts_on, zone=zone),
                ends_at=periods.local_midnight(day=span.ends_on, zone=zone),
            )
            if left < sum(each.intervals for each in span.estimates):
                return True
    return False


def get_later(*, bill: models.Bill) -> list[models.Bill]:
    """Return the standing rated bills after a corrected one that rest on what it left.

    That is peaks and energy carried; and where a year has a minimum charge, what was billed in it.
    """
    old = bill.corrects
    if old is None:
        return []
    kept = ("peak_milliw", "carried_milliwh")
    before, after = ([[span[name] for name in kept] for span in each.rating] for each in (old, bill))
    standing = models.Bill.objects.filter(
        account_id=bill.account_id, source=models.Bill.Source.RATED, starts_on__gte=bill.ends_on
    ).exclude(state=State.CANCELLED)
    later = list(standing.order_by("starts_on"))
    return later if before != after else [each for each in later if _rests_on_year(bill=each, old=old, new=bill)]


def _rests_on_year(*, bill: models.Bill, old: models.Bill, new: models.Bill) -> bool:
    """Say whether a bill closes a year with a minimum, and a corrected bill counts otherwise in that year."""
    charged: dict[int, int] = collections.defaultdict(int)
    for each, sign in ((old, -1), (new, 1)):
        for item in map(statements.Remainder.from_json, each.rating):
            charged[item.starts_on.year] += sign * item.total_nano
    for item in map(statements.Remainder.from_json, bill.rating):
        last_day = item.ends_on - datetime.timedelta(days=1)
        if (last_day.month, last_day.day) == (12, 31) and charged[last_day.year] and _has_yearly_minimum(item):
            return True
    return False


def _has_yearly_minimum(item: statements.Remainder) -> bool:
    tariff = urdb.read(text=models.Tariff.objects.get(pk=item.tariff_id).document)
    return any(minimum.per is tariffs.ChargePer.YEAR for minimum in tariff.minimums)


def _take_over(bill: models.Bill) -> tuple[rated_bills.Line, ...]:
    """Return what stands for a bill: payments of it, and credit of it that others used; with what it took over."""
    kinds = rated_bills.LineKind
    earlier = dict(
        bill.lines.filter(kind__in=[kinds.PAID_BEFORE, kinds.CREDIT_USED])
        .order_by()
        .values_list("kind")
        .annotate(Sum("amount_nano"))
    )
    paid_nano = earlier.get(kinds.PAID_BEFORE, 0)
    if bill.state == State.PAID:
        paid_nano -= bill.amount_due_cents * issue_bill.NANO_PER_CENT
    used_nano = earlier.get(kinds.CREDIT_USED, 0) + operations.get_used_nano(bill=bill)
    found = (
        (kinds.PAID_BEFORE, f"Paid before, with bill {bill.number}", paid_nano),
        (kinds.CREDIT_USED, f"Credit of bill {bill.number} that other bills used", used_nano),
    )
    return tuple(
        rated_bills.Line(
            kind=kind,
            label=label,
            quantity=rated_bills.ONE,
            unit="bill",
            unit_price_nano=int(nano),
            amount_nano=int(nano),
        )
        for kind, label, nano in found
        if nano
    )
