"""A bill with riders, taxes, discounts, credits, a budget plan and prepayment: stored rules become exact lines."""

import datetime
import decimal
from typing import Any

import pytest

from billing import models
from billing.usecases import rebill
from customers import models as customer_models
from tests.factories import customers
from tests.integration.billing import test_issue_bill as bills

agreement = bills.agreement
WHO: dict[str, Any] = {"reason": "Order 12-34", "entered_at": bills.NOW}
YEAR = datetime.date(2012, 1, 1)
ENERGY_NANO = 2_215_348_000  # kWh of April in micro-kWh; at 1 cent they are 22.15348


def enter(model: Any, **fields: Any) -> Any:
    return model.objects.create(**WHO, **fields)


def rider(utility: customer_models.Utility, **fields: Any) -> models.Rider:
    own = {"code": "STORM", "name": "Storm recovery", "effective_from": YEAR, "basis": "kwh", "price": "0.01"}
    made: models.Rider = enter(models.Rider, utility=utility, **own | fields)
    return made


def tax(agreement: customer_models.ServiceAgreement, percent: str = "5", **fields: Any) -> models.Tax:
    utility = agreement.account.utility
    place, _ = models.Jurisdiction.objects.get_or_create(utility=utility, code="CITY", name="City of Harborview")
    if not place.places.exists():
        enter(models.TaxedPlace, jurisdiction=place, service_point=agreement.service_point, starts_on=YEAR)
    own = {"code": "UUT", "name": "Utility users' tax", "effective_from": YEAR, "basis": "percent", "percent": percent}
    made: models.Tax = enter(models.Tax, utility=utility, jurisdiction=place, **own | fields)
    return made


def added(bill: models.Bill) -> list[tuple[str, int]]:
    plain = {"energy", "fixed", "minimum"}
    return [(line.kind, line.amount_nano) for line in bill.lines.all() if line.kind not in plain]


def check_sums(bill: models.Bill) -> None:
    assert sum(line.amount_nano for line in bill.lines.all()) == bill.amount_due_cents * 10**7
    for line in bill.lines.all():
        exact = line.quantity * line.unit_price_nano * line.factor_numerator / line.factor_denominator
        assert line.amount_nano == exact.to_integral_value(decimal.ROUND_HALF_EVEN), line.label


def test_a_rider_and_a_tax_name_their_versions(agreement: customer_models.ServiceAgreement) -> None:
    before = bills.issue(agreement)
    exact = sum(line.amount_nano for line in before.lines.all() if line.kind != "rounding")
    models.Bill.objects.update(state="cancelled")
    rider(agreement.account.utility)
    tax(agreement)
    bill = bills.issue(agreement)
    check_sums(bill)
    made = dict(added(bill))
    assert made["rider"] == 22_153_480_000
    base = decimal.Decimal(exact + made["rider"])
    assert made["tax"] == (base / 20).to_integral_value(decimal.ROUND_HALF_EVEN)
    labels = [line.label for line in bill.lines.all()]
    assert "Storm recovery (STORM, version 2012-01-01)" in labels
    assert "Utility users' tax, City of Harborview (UUT, version 2012-01-01), 5 %" in labels
    cents = ((base + made["tax"]) / 10**7).to_integral_value(decimal.ROUND_HALF_UP)
    assert bill.amount_due_cents == cents


def test_the_next_version_ends_the_one_before_it(agreement: customer_models.ServiceAgreement) -> None:
    rider(agreement.account.utility)
    rider(agreement.account.utility, effective_from=datetime.date(2012, 4, 16), price="0.03")
    bill = bills.issue(agreement)
    check_sums(bill)
    assert [amount for kind, amount in added(bill) if kind == "rider"] == [11_076_740_000, 33_230_220_000]


@pytest.mark.parametrize(
    ("ends_on", "expected"), [(None, None), (datetime.date(2012, 4, 11), "2/3")], ids=["always", "ten days of thirty"]
)
def test_an_exemption(
    agreement: customer_models.ServiceAgreement, ends_on: datetime.date | None, expected: str | None
) -> None:
    tax(agreement)
    enter(
        models.TaxExemption,
        account=agreement.account,
        tax_code="UUT",
        certificate="E-1",
        starts_on=YEAR,
        ends_on=ends_on,
    )
    bill = bills.issue(agreement)
    check_sums(bill)
    found = bill.lines.filter(kind="tax").first()
    assert (found is None) == (expected is None)
    if found:
        assert (found.factor_numerator, found.factor_denominator) == (1, 30)  # 5 % of 20 of 30 days


def test_rules_of_others_are_not_applied(agreement: customer_models.ServiceAgreement) -> None:
    stranger = customers.ServiceAgreement.create()
    rider(stranger.account.utility)
    tax(stranger)
    rider(agreement.account.utility, tariff_codes="COM-1, COM-2")
    place = models.Jurisdiction.objects.create(utility=agreement.account.utility, code="FAR", name="Far away")
    enter(
        models.Tax,
        utility=agreement.account.utility,
        jurisdiction=place,
        code="FAR",
        name="Far",
        effective_from=YEAR,
        basis="percent",
        percent="9",
    )
    assert bills.issue(agreement).amount_due_cents == 47_002


def test_a_discount_of_the_days_in_the_program(agreement: customer_models.ServiceAgreement) -> None:
    utility = agreement.account.utility
    own = {"code": "CARE", "name": "Low income", "effective_from": YEAR, "basis": "percent", "percent": "20"}
    enter(models.DiscountProgram, utility=utility, **own)
    medical = {"code": "MED", "name": "Medical baseline", "effective_from": YEAR, "basis": "kwh", "price": "0.05"}
    enter(models.DiscountProgram, utility=utility, allowance_kwh_per_day="16.5", **medical)
    for code, starts_on in (("CARE", datetime.date(2012, 4, 16)), ("MED", YEAR)):
        enter(
            models.DiscountEnrollment,
            account=agreement.account,
            program_code=code,
            proof="Letter 7",
            proven_on=YEAR,
            starts_on=starts_on,
        )
    bill = bills.issue(agreement)
    check_sums(bill)
    care, med = bill.lines.filter(kind="discount")
    assert (care.factor_numerator, care.factor_denominator) == (1, 10)  # 20 % of 15 of 30 days
    assert (med.quantity, med.amount_nano) == (495, -24_750_000_000)  # 16.5 kWh x 30 days x 5 cents


def test_a_credit_is_used_once(agreement: customer_models.ServiceAgreement) -> None:
    credit = enter(models.AccountCredit, account=agreement.account, label="Outage", amount="500", given_on=YEAR)
    first = bills.issue(agreement, bills.FIRST, datetime.date(2012, 4, 16))
    second = bills.issue(agreement, datetime.date(2012, 4, 16), bills.AFTER)
    assert first.amount_due_cents == 0
    used = list(models.CreditUse.objects.order_by("pk").values_list("credit", "bill", "amount_nano"))
    assert [row[:2] for row in used] == [(credit.pk, first.pk), (credit.pk, second.pk)] or second.amount_due_cents == 0
    assert sum(row[2] for row in used) <= 500 * 10**9
    check_sums(first)
    check_sums(second)
    second.state = "cancelled"
    second.save()
    again = bills.issue(agreement, datetime.date(2012, 4, 16), bills.AFTER)
    assert again.amount_due_cents == second.amount_due_cents  # what a cancelled bill used is there again


def test_a_budget_plan_defers_and_settles(agreement: customer_models.ServiceAgreement) -> None:
    plan = enter(
        models.BudgetPlan,
        account=agreement.account,
        instalment="100",
        settlement_month=5,
        starts_on=datetime.date(2012, 4, 1),
    )
    first = bills.issue(agreement, bills.FIRST, datetime.date(2012, 4, 16))
    deferred = -first.lines.get(kind="budget").amount_nano
    assert first.amount_due_cents == 100_00
    plan.ends_on = bills.AFTER
    plan.save()
    second = bills.issue(agreement, datetime.date(2012, 4, 16), bills.AFTER)
    assert second.lines.get(kind="budget").amount_nano == deferred
    check_sums(second)


def test_what_was_paid_in_advance_is_drawn(agreement: customer_models.ServiceAgreement) -> None:
    enter(models.PrepayPlan, account=agreement.account, daily_charge="0.10", starts_on=datetime.date(2012, 4, 21))
    enter(models.PrepaidDeposit, account=agreement.account, amount="300", paid_on=YEAR)
    enter(models.PrepaidDeposit, account=agreement.account, amount="25", paid_on=YEAR)
    bill = bills.issue(agreement)
    check_sums(bill)
    assert dict(added(bill))["rider"] == 10**9  # ten days of 10 cents
    assert dict(added(bill))["prepaid"] == -325 * 10**9
    assert bill.amount_due_cents == 47_002 + 100 - 32_500


def test_a_budget_is_settled_by_the_bill_of_a_move_out(agreement: customer_models.ServiceAgreement) -> None:
    enter(models.BudgetPlan, account=agreement.account, instalment="100", settlement_month=12, starts_on=bills.FIRST)
    first = bills.issue(agreement, bills.FIRST, datetime.date(2012, 4, 16))
    deferred = -first.lines.get(kind="budget").amount_nano
    agreement.ends_on = datetime.date(2012, 4, 28)
    agreement.save()
    last = bills.issue(agreement, datetime.date(2012, 4, 16), bills.AFTER)
    assert last.lines.get(kind="budget").amount_nano == deferred  # nobody ended the plan
    check_sums(last)


def test_a_budget_goes_on_where_the_account_moves_house(agreement: customer_models.ServiceAgreement) -> None:
    enter(models.BudgetPlan, account=agreement.account, instalment="100", settlement_month=12, starts_on=bills.FIRST)
    agreement.ends_on = bills.AFTER
    agreement.save()
    customers.ServiceAgreement.create(account=agreement.account, starts_on=bills.AFTER)
    assert bills.issue(agreement).amount_due_cents == 100_00


def test_a_settling_bill_corrected_leaves_later_bills_what_they_deferred(
    agreement: customer_models.ServiceAgreement,
) -> None:
    plan = enter(
        models.BudgetPlan, account=agreement.account, instalment="100", settlement_month=4, starts_on=bills.FIRST
    )
    first = bills.issue(agreement, bills.FIRST, datetime.date(2012, 4, 16))
    models.BudgetPlan.objects.filter(pk=plan.pk).update(settlement_month=12)
    second = bills.issue(agreement, datetime.date(2012, 4, 16), bills.AFTER)
    assert second.lines.filter(kind="budget").exists()
    models.BudgetPlan.objects.filter(pk=plan.pk).update(settlement_month=4)

    again = rebill.rebill(bill_id=first.pk, reason="Read again.", user=customers.StaffUser.create(), now=bills.NOW)

    assert again.amount_due_cents == first.amount_due_cents
    assert not again.lines.filter(kind="budget").exists()
