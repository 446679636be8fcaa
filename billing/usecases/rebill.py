"""A bill that was wrong is cancelled, and one in its place says what it should have been.

Nothing is rewritten: the old bill keeps its lines, the ledger books the opposite of what it booked, and what was paid
for it is a line of the new one. So the account owes the new amount less the old, whether or not the old was paid.
"""

import datetime
import uuid

from django.db.models import Sum

from billing import models, operations
from billing.domain import bill as rated_bills
from billing.usecases import adjust_bill, issue_bill
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors

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
    paid_cents = _paid_cents(old)
    old.state = State.CANCELLED
    old.save(update_fields=["state"])
    operations.reverse_bill(bill=old, now=now)
    books = adjust_bill.read(
        utility_id=old.utility_id, starts_on=old.starts_on, ends_on=old.ends_on, account_ids=[account.pk]
    )
    return issue_bill.write_rated(
        account=account,
        found=issue_bill.rate_account(account=account, starts_on=old.starts_on, ends_on=old.ends_on, books=books),
        correction=issue_bill.Correction(corrects=old, reason=reason.strip()[:500], user=user, paid_cents=paid_cents),
        now=now,
    )


def get_later(*, bill: models.Bill) -> list[models.Bill]:
    """Return the standing rated bills after a corrected one that rest on what it left: peaks, energy carried."""
    old = bill.corrects
    if old is None:
        return []
    kept = ("peak_milliw", "carried_milliwh")
    before, after = ([[span[name] for name in kept] for span in each.rating] for each in (old, bill))
    if before == after:
        return []
    standing = models.Bill.objects.filter(
        account_id=bill.account_id, source=models.Bill.Source.RATED, starts_on__gte=bill.ends_on
    ).exclude(state=State.CANCELLED)
    return list(standing.order_by("starts_on"))


def _paid_cents(bill: models.Bill) -> int:
    """Return what was paid for a bill: its own payment, and what it took over from the bill that it corrected."""
    taken_over = bill.lines.filter(kind=rated_bills.LineKind.PAID_BEFORE.value).aggregate(nano=Sum("amount_nano"))
    own = bill.amount_due_cents if bill.state == State.PAID else 0
    return own - issue_bill.to_cents(int(taken_over["nano"] or 0))
