"""A wrong bill is cancelled and another stands in for it: the account owes new less old, and nothing is rewritten."""

import datetime

import numpy as np
import pytest

from billing import models, queries
from billing.usecases import import_tariff, issue_bill, rebill
from customers import models as customer_models
from notifications import models as notification_models
from tests.factories import customers, readings
from tests.integration.billing.test_draft_bills import APRIL, MARCH, NOW, serve, sheet, use, utility

__all__ = ["utility"]


@pytest.fixture
def old(utility: customer_models.Utility) -> models.Bill:
    """Return the bill of an account with the app, from a meter that read half of what was used."""
    agreement = serve(utility)
    customers.AccountAccess.create(account=agreement.account)
    use(agreement, 1)
    return issue_bill.issue_bill(account_id=agreement.account_id, starts_on=MARCH, ends_on=APRIL, now=NOW)


@pytest.fixture
def analyst(utility: customer_models.Utility) -> customer_models.User:
    made: customer_models.User = customers.StaffUser.create()
    return made


def double(bill: models.Bill) -> None:
    """Let the meter have counted half."""
    point = bill.account.agreements.get().service_point
    customers.MeterInstallation.create(service_point=point, multiplier=2)


def correct(bill: models.Bill, user: customer_models.User, reason: str = "The meter counted half.") -> models.Bill:
    return rebill.rebill(bill_id=bill.pk, reason=reason, user=user, now=NOW)


def owed(bill: models.Bill) -> int:
    return queries.get_owed_cents(account_id=bill.account_id, currency="USD")


def test_an_unpaid_bill(old: models.Bill, analyst: customer_models.User) -> None:
    lines = list(old.lines.values())
    double(old)

    new = correct(old, analyst)

    old.refresh_from_db()
    assert (old.state, list(old.lines.values())) == ("cancelled", lines)
    assert (new.corrects, new.correction_reason, new.correction_made_by) == (old, "The meter counted half.", analyst)
    assert new.rating[0]["import_milliwh"] == 2 * old.rating[0]["import_milliwh"]
    assert new.amount_due_cents > old.amount_due_cents
    assert owed(new) == new.amount_due_cents
    assert list(models.LedgerTransaction.objects.order_by("pk").values_list("kind", "bill")) == [
        ("bill", old.pk),
        ("cancellation", old.pk),
        ("bill", new.pk),
    ]
    notice = notification_models.Notice.objects.latest("pk")
    assert notice.title == f"Your corrected bill of {new.amount_due_cents / 100:.2f} USD is here"
    assert notice.body.endswith(f"It stands in for bill {old.number}: The meter counted half.")


def test_a_paid_bill_leaves_the_difference(old: models.Bill, analyst: customer_models.User) -> None:
    models.Bill.objects.filter(pk=old.pk).update(state="paid", paid_at=NOW)
    double(old)

    new = correct(old, analyst)

    charged = sum(line.amount_nano for line in new.lines.exclude(kind="paid_before")) // 10**7
    assert new.amount_due_cents == charged - old.amount_due_cents
    assert sum(line.amount_nano for line in new.lines.all()) == new.amount_due_cents * 10**7
    # The payment itself is not booked here: what is owed is what was charged.
    assert owed(new) == charged

    again = correct(new, analyst, "Once more.")
    assert (again.amount_due_cents, owed(again)) == (new.amount_due_cents, charged)
    assert again.lines.get(kind="paid_before").amount_nano == -old.amount_due_cents * 10**7


def test_too_much_paid_is_a_credit(
    old: models.Bill, analyst: customer_models.User, utility: customer_models.Utility
) -> None:
    models.Bill.objects.filter(pk=old.pk).update(state="paid", paid_at=NOW)
    import_tariff.import_tariff(
        utility_id=utility.pk,
        code="RES",
        text=sheet(energyratestructure=[[{"rate": 0.01}], [{"rate": 0.01}]]),
        effective_from=MARCH,
        now=NOW,
    )

    new = correct(old, analyst)

    assert new.total_cents < 0
    assert (new.amount_due_cents, new.carried_forward_cents, new.state) == (0, -new.total_cents, "issued")
    # The payment is not booked here: it would take the charge of the old bill off what is owed.
    assert owed(new) - old.amount_due_cents == new.total_cents


def test_a_bill_that_closes_a_year_with_a_minimum_rests_on_the_whole_year(
    utility: customer_models.Utility, analyst: customer_models.User
) -> None:
    november, december, after = datetime.date(2025, 11, 1), datetime.date(2025, 12, 1), datetime.date(2026, 1, 1)
    import_tariff.import_tariff(
        utility_id=utility.pk,
        code="YEAR",
        text=sheet(mincharge=900, minchargeunits="$/year"),
        effective_from=datetime.date(2025, 1, 1),
        now=NOW,
    )
    agreement = serve(utility, "YEAR")
    use(agreement, 1, first=november, after=after, milli_wh=np.full(61 * 96, 100_000))
    first, last = (
        issue_bill.issue_bill(account_id=agreement.account_id, starts_on=starts_on, ends_on=ends_on, now=NOW)
        for starts_on, ends_on in ((november, december), (december, after))
    )
    assert last.lines.get(kind="minimum").amount_nano > 0
    models.Tariff.objects.filter(code="YEAR").update(
        document=sheet(mincharge=900, minchargeunits="$/year", fixedchargefirstmeter=30)
    )

    new = correct(first, analyst, "The sheet named another customer charge.")

    kept = ("peak_milliw", "carried_milliwh")
    assert [new.rating[0][name] for name in kept] == [first.rating[0][name] for name in kept]
    assert new.rating[0]["total_nano"] > first.rating[0]["total_nano"]
    assert rebill.get_later(bill=new) == [last]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"state": "cancelled"}, "bill_is_cancelled"),
        ({"state": "pending"}, "payment_on_its_way"),
        ({"source": "received"}, "bill_is_received"),
        ({}, "no_reason"),
    ],
)
def test_a_bill_that_cannot_be_corrected(
    old: models.Bill, analyst: customer_models.User, change: dict[str, str], code: str
) -> None:
    models.Bill.objects.filter(pk=old.pk).update(**change)
    with pytest.raises(rebill.UnableToRebill) as refusal:
        correct(old, analyst, "" if code == "no_reason" else "Wrong.")
    assert refusal.value.code == code
    assert models.Bill.objects.count() == models.LedgerTransaction.objects.count() == 1


def test_a_correction_that_cannot_be_rated_changes_nothing(old: models.Bill, analyst: customer_models.User) -> None:
    old.account.agreements.update(tariff_code="GONE")
    with pytest.raises(issue_bill.UnableToIssueBill):
        correct(old, analyst)
    old.refresh_from_db()
    assert (old.state, owed(old)) == ("issued", old.amount_due_cents)


def test_later_bills_that_rest_on_the_old_one_are_named(old: models.Bill, analyst: customer_models.User) -> None:
    agreement = old.account.agreements.get()
    readings.store(agreement=agreement, first=APRIL, after=datetime.date(2026, 4, 2), milli_wh=np.full(96, 100_000))
    later = issue_bill.issue_bill(
        account_id=agreement.account_id, starts_on=APRIL, ends_on=datetime.date(2026, 4, 2), now=NOW
    )
    double(old)

    assert rebill.get_later(bill=correct(old, analyst)) == [later]
