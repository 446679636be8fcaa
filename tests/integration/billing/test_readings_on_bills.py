"""What a bill says of its readings: which were estimated and how, and reactive energy from stored days to its line."""

import pytest

from billing import models
from billing.domain import bill as rated_bills
from billing.usecases import issue_bill, issue_drafts, rebill
from customers import models as customer_models
from meters import models as meter_models
from meters import queries as meter_queries
from meters.domain import units
from notifications import models as notification_models
from tests.factories import customers
from tests.integration.billing import test_desk as desk
from tests.integration.billing.test_draft_bills import APRIL, MARCH, NOW, check_same, draft, serve, sheet, use, utility

__all__ = ["utility"]

SIX = [100, 101, 102, 103, 104, 105]


def issue(agreement: customer_models.ServiceAgreement) -> models.Bill:
    return issue_bill.issue_bill(account_id=agreement.account_id, starts_on=MARCH, ends_on=APRIL, now=NOW)


def test_a_bill_says_what_was_estimated_and_the_truth_is_billed_again(utility: customer_models.Utility) -> None:
    agreement = serve(utility)
    customers.AccountAccess.create(account=agreement.account)
    use(agreement, 1, milli_wh=[500_000], estimated=SIX)

    bill = issue(agreement)

    assert bill.estimates == [rated_bills.Estimate("interpolated", 6, 3_000_000, 0)]
    words = "Estimated readings: 6 intervals (3.0 kWh) from the readings before and after."
    assert bill.estimates_text.startswith(words)
    notice = notification_models.Notice.objects.get()
    assert words in notice.body
    assert notice.data["estimated_intervals"] == 6

    assert not rebill.has_truth(bill=bill)
    meter_models.MeterDay.objects.all().delete()
    use(agreement, 1, milli_wh=[500_000])
    assert rebill.has_truth(bill=bill)
    shown = desk.staff(utility, "billing_analyst").get(f"/admin/billing/bill/{bill.pk}/change/").content.decode()
    assert "6 intervals (3.0 kWh) from the readings before and after" in shown
    assert "readings have come: correct this bill." in shown
    new = rebill.rebill(bill_id=bill.pk, reason="The meter answered", user=customers.StaffUser.create(), now=NOW)

    bill.refresh_from_db()
    assert not rebill.has_truth(bill=bill)
    assert (new.estimates, new.estimates_text, new.total_cents) == ([], "", bill.total_cents)


def test_a_run_bills_estimates_as_one_account_alone_does(utility: customer_models.Utility) -> None:
    plain, estimated = serve(utility), serve(utility)
    use(plain, 1)
    use(estimated, 2, milli_wh=[500_000], estimated=SIX)
    run, progress = draft(utility)
    assert (progress.together, progress.alone) == (1, 1)
    check_same(run)

    issue_drafts.approve_run(run_id=run.pk, user=customers.StaffUser.create(), now=NOW)
    issue_drafts.issue_drafts(run_id=run.pk, now=NOW)

    found = models.Bill.objects.get(account=estimated.account)
    assert found.estimates == [rated_bills.Estimate("interpolated", 6, 3_000_000, 0)]
    assert models.Bill.objects.get(account=plain.account).estimates == []


@pytest.fixture
def reactive(utility: customer_models.Utility) -> customer_models.ServiceAgreement:
    """Return a customer who pays 50 cents for each kvar and takes 2 kWh in each hour."""
    models.Tariff.objects.filter(code="RES").update(document=sheet(demandreactivepowercharge=0.5))
    agreement = serve(utility)
    use(agreement, 1, milli_wh=[500_000])
    return agreement


def line(bill: models.Bill) -> tuple[str, str, int]:
    found = bill.lines.get(kind="reactive")
    return str(found.quantity.normalize()), found.unit, found.amount_nano


def test_reactive_energy_is_billed_from_stored_days(reactive: customer_models.ServiceAgreement) -> None:
    varh = [100_000] * 95 + [400_000]
    for flow, values in ((units.Flow.DELIVERED, varh), (units.Flow.RECEIVED, [900_000])):
        use(reactive, 1, milli_wh=values, unit=units.Unit.VOLT_AMPERE_REACTIVE_HOUR, flow=flow)

    bill = issue(reactive)

    assert line(bill) == ("1.6", "kvar", 800_000_000)  # 0.4 kvarh in the dearest quarter of an hour
    assert bill.omissions == []


def test_apparent_energy_gives_reactive_energy(reactive: customer_models.ServiceAgreement) -> None:
    use(reactive, 1, milli_wh=[1_300_000], unit=units.Unit.VOLT_AMPERE_HOUR)

    assert line(issue(reactive)) == ("4.8", "kvar", 2_400_000_000)  # 1.3, 0.5 and 1.2: four of them in an hour


def test_a_point_without_reactive_readings_says_so(reactive: customer_models.ServiceAgreement) -> None:
    bill = issue(reactive)

    assert not bill.lines.filter(kind="reactive").exists()
    assert bill.omissions == ["Reactive demand: the load has no reactive energy."]


def test_reactive_readings_with_a_gap_are_not_billed_as_whole(reactive: customer_models.ServiceAgreement) -> None:
    use(reactive, 1, milli_wh=[100_000], unit=units.Unit.VOLT_AMPERE_REACTIVE_HOUR, missing=[7])

    with pytest.raises(meter_queries.UnableToReadUsage, match="no reactive energy for the interval from") as refusal:
        issue(reactive)

    assert refusal.value.code == "reactive_has_gaps"
    assert not models.Bill.objects.exists()


def test_a_run_bills_reactive_energy_too(
    utility: customer_models.Utility, reactive: customer_models.ServiceAgreement
) -> None:
    use(reactive, 1, milli_wh=[100_000], unit=units.Unit.VOLT_AMPERE_REACTIVE_HOUR)
    run, progress = draft(utility)
    assert (progress.together, progress.alone) == (0, 1)
    issue_drafts.approve_run(run_id=run.pk, user=customers.StaffUser.create(), now=NOW)
    issue_drafts.issue_drafts(run_id=run.pk, now=NOW)
    assert line(models.Bill.objects.get()) == ("0.4", "kvar", 200_000_000)
