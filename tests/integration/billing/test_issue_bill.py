"""Meter data and a tariff become a bill: lines, booking and notice, once."""

import datetime
import decimal
import io
import json
import pathlib
import zoneinfo

import pytest
from django import test

from billing import models, queries
from billing.domain import rating
from billing.usecases import import_tariff, issue_bill
from customers import models as customer_models
from meters import queries as meter_queries
from meters.usecases import ingest_readings
from notifications import models as notification_models
from tests.factories import customers, wallets

SEED = pathlib.Path(__file__).parents[3] / "openvpp" / "seed_data"
QUARTER_HOURS = pathlib.Path(__file__).parents[2] / "data/meter/green_button/gb_openespi_15minLP_15Days.xml"
SHEET = (SEED / "tariff_psegli_residential_tou.json").read_text()
FIRST, AFTER = datetime.date(2012, 4, 1), datetime.date(2012, 5, 1)
NOW = datetime.datetime(2012, 5, 2, 2, 30, tzinfo=datetime.UTC)  # still the first of May in New York
NANO = decimal.Decimal(10) ** 9


@pytest.fixture
def agreement(transactional_db: None) -> customer_models.ServiceAgreement:
    """Service since 2012-03-01 with a real month of hourly readings, under a real time-of-use tariff."""
    made: customer_models.ServiceAgreement = customers.ServiceAgreement.create(
        starts_on=datetime.date(2012, 3, 1), tariff_code="RES-TOU"
    )
    customers.AccountAccess.create(account=made.account, customer__utility=made.account.utility)
    ingest_readings.ingest_green_button(
        stream=io.BytesIO((SEED / "green_button_hourly_32_days.xml").read_bytes()),
        utility_id=made.account.utility_id,
        service_point_id=made.service_point_id,
        now=NOW,
    )
    import_sheet(made, effective_from=datetime.date(2012, 1, 1))
    return made


def import_sheet(
    agreement: customer_models.ServiceAgreement,
    *,
    effective_from: datetime.date,
    text: str = SHEET,
    code: str = "RES-TOU",
) -> models.Tariff:
    return import_tariff.import_tariff(
        utility_id=agreement.account.utility_id, code=code, text=text, effective_from=effective_from, now=NOW
    )


def issue(
    agreement: customer_models.ServiceAgreement,
    starts_on: datetime.date = FIRST,
    ends_on: datetime.date = AFTER,
    now: datetime.datetime = NOW,
) -> models.Bill:
    return issue_bill.issue_bill(account_id=agreement.account_id, starts_on=starts_on, ends_on=ends_on, now=now)


def test_a_real_month_is_billed_to_the_cent(agreement: customer_models.ServiceAgreement) -> None:
    bill = issue(agreement)
    assert (bill.amount_due_cents, bill.currency, bill.state, bill.source) == (47_002, "USD", "issued", "rated")
    assert bill.number == f"{agreement.account.number}-20120501"
    assert bill.due_on == datetime.date(2012, 5, 22)  # 21 days after the first of May in New York
    lines = list(bill.lines.all())
    assert [line.position for line in lines] == [1, 2, 3, 4]
    assert [line.kind for line in lines] == ["energy", "energy", "fixed", "rounding"]
    assert [line.quantity for line in lines[:2]] == [decimal.Decimal("1971.833"), decimal.Decimal("243.515")]
    assert sum(line.amount_nano for line in lines) == 47_002 * 10**7
    assert {(line.starts_on, line.ends_on) for line in lines} == {(FIRST, AFTER)}
    assert {line.tariff.effective_from for line in lines if line.tariff} == {datetime.date(2012, 1, 1)}
    assert queries.get_owed_cents(account_id=agreement.account_id, currency="USD") == 47_002
    notice = notification_models.Notice.objects.get()
    assert (notice.kind, notice.data["bill_id"], notice.data["amount_due"]) == ("bill.issued", str(bill.pk), "470.02")
    assert bill.rating[0]["import_milliwh"] == 2_215_348_000


def test_each_line_is_quantity_times_price_times_factor(agreement: customer_models.ServiceAgreement) -> None:
    bill = issue(agreement, FIRST, datetime.date(2012, 4, 16), NOW)
    for line in bill.lines.all():
        exact = line.quantity * line.unit_price_nano * line.factor_numerator / line.factor_denominator
        assert line.amount_nano == exact.to_integral_value(decimal.ROUND_HALF_EVEN), line.label


def test_the_same_period_is_the_same_bill(agreement: customer_models.ServiceAgreement) -> None:
    first = issue(agreement)
    assert issue(agreement, now=NOW + datetime.timedelta(days=1)) == first
    assert models.Bill.objects.count() == 1
    assert models.LedgerTransaction.objects.count() == 1
    assert notification_models.Notice.objects.count() == 1


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "now", "code"),
    [
        (FIRST, AFTER, datetime.datetime(2012, 5, 1, 3, 59, tzinfo=datetime.UTC), "period_not_over"),
        (AFTER, FIRST, NOW, "period_not_over"),
        (datetime.date(2012, 1, 1), datetime.date(2012, 2, 1), NOW, "no_service"),
        (datetime.date(2012, 3, 1), FIRST, NOW, "load_has_gaps"),
    ],
)
def test_a_period_that_cannot_be_billed(
    agreement: customer_models.ServiceAgreement,
    starts_on: datetime.date,
    ends_on: datetime.date,
    now: datetime.datetime,
    code: str,
) -> None:
    with pytest.raises((issue_bill.UnableToIssueBill, rating.UnableToRate)) as refusal:
        issue(agreement, starts_on, ends_on, now)
    assert refusal.value.code == code
    assert not models.Bill.objects.exists()
    assert not models.LedgerEntry.objects.exists()
    assert not notification_models.Notice.objects.exists()


def test_the_first_instant_at_which_a_period_is_over(agreement: customer_models.ServiceAgreement) -> None:
    assert issue(agreement, now=datetime.datetime(2012, 5, 1, 4, tzinfo=datetime.UTC)).amount_due_cents == 47_002


def test_a_period_that_another_bill_covers(agreement: customer_models.ServiceAgreement) -> None:
    bill = issue(agreement, FIRST, datetime.date(2012, 4, 16))
    with pytest.raises(issue_bill.UnableToIssueBill) as refusal:
        issue(agreement)
    assert (refusal.value.code, refusal.value.extra) == ("period_overlaps", {"bill_id": str(bill.pk)})
    assert models.Bill.objects.count() == 1


def test_a_tariff_that_changes_inside_the_period(agreement: customer_models.ServiceAgreement) -> None:
    whole = issue(agreement, now=NOW)
    dearer = json.loads(SHEET)
    for tiers in dearer["items"][0]["energyratestructure"]:
        tiers[0]["rate"] = 1
        tiers[0]["adj"] = 0
    import_sheet(agreement, effective_from=datetime.date(2012, 4, 16), text=json.dumps(dearer))
    whole.state = "cancelled"
    whole.save()
    bill = issue(agreement)
    assert bill.number == f"{whole.number}-2"
    energy = [line for line in bill.lines.all() if line.kind == "energy"]
    kwh = {
        starts_on: sum((line.quantity for line in energy if line.starts_on == starts_on), start=decimal.Decimal(0))
        for starts_on in (FIRST, datetime.date(2012, 4, 16))
    }
    assert sum(kwh.values()) == decimal.Decimal("2215.348")
    dear = [line for line in energy if line.starts_on == datetime.date(2012, 4, 16)]
    assert {line.unit_price_nano for line in dear} == {10**9}
    assert sum(line.amount_nano for line in dear) == kwh[datetime.date(2012, 4, 16)] * NANO
    fixed = [line for line in bill.lines.all() if line.kind == "fixed"]
    assert [(line.factor_numerator, line.factor_denominator) for line in fixed] == [(1, 2), (1, 2)]
    assert bill.amount_due_cents * 10**7 == sum(line.amount_nano for line in bill.lines.all())


def test_moving_in_inside_the_period(agreement: customer_models.ServiceAgreement) -> None:
    agreement.starts_on = datetime.date(2012, 4, 21)
    agreement.save()
    bill = issue(agreement)
    assert {(line.starts_on, line.ends_on) for line in bill.lines.all()} == {(datetime.date(2012, 4, 21), AFTER)}
    fixed = next(line for line in bill.lines.all() if line.kind == "fixed")
    assert (fixed.factor_numerator, fixed.factor_denominator) == (1, 3)


@pytest.mark.parametrize("change", [8, 11, 12])  # the clocks go forward on the eleventh
@pytest.mark.parametrize("step", ["interval", "day", "month"])
def test_a_customer_is_shown_what_a_multiplied_meter_is_billed(
    agreement: customer_models.ServiceAgreement, change: int, step: str
) -> None:
    ingest_readings.ingest_green_button(
        stream=io.BytesIO(QUARTER_HOURS.read_bytes()),
        utility_id=agreement.account.utility_id,
        service_point_id=agreement.service_point_id,
        now=NOW,
    )
    starts_on, changed_on, ends_on = (datetime.date(2012, 3, day) for day in (1, change, 15))
    read = {
        day.starts_on: day.delivered_milli_wh
        for day in meter_queries.get_daily(
            service_point_id=agreement.service_point_id, first=starts_on, last=datetime.date(2012, 3, 14)
        )
    }
    point = agreement.service_point
    customers.MeterInstallation.create(service_point=point, multiplier=40, starts_on=starts_on, ends_on=changed_on)
    customers.MeterInstallation.create(service_point=point, multiplier="0.5", starts_on=changed_on)

    bill = issue(agreement, starts_on, ends_on)
    shown = test.Client().get(
        "/api/v1/usage/",
        {"service_point": str(point.pk), "from": "2012-03-01", "to": "2012-03-15", "step": step, "page_size": "3000"},
        headers=wallets.bearer(
            token=wallets.AccessToken.create(
                user=customer_models.AccountAccess.objects.get().customer.user, scope="usage:read"
            )
        ),
    )

    expected = sum(milli_wh * 40 if day < changed_on else milli_wh // 2 for day, milli_wh in read.items())
    energy = [line.quantity for line in bill.lines.all() if line.kind == "energy"]
    total = sum(decimal.Decimal(row["delivered_kwh"]) for row in shown.json()["results"])
    assert sum(energy) == total == decimal.Decimal(expected) / 10**6
    assert bill.rating[0]["import_milliwh"] == expected


def test_meters_that_cannot_be_told_apart(agreement: customer_models.ServiceAgreement) -> None:
    for multiplier in (1, 40):
        customers.MeterInstallation.create(service_point=agreement.service_point, multiplier=multiplier)
    customer_models.MeterInstallation.objects.update(starts_on=datetime.date(2012, 4, 20))
    with pytest.raises(meter_queries.UnableToReadUsage, match="On 2012-04-20") as refusal:
        issue(agreement)
    assert refusal.value.code == "unmultipliable"
    assert not models.Bill.objects.exists()
    assert not models.LedgerEntry.objects.exists()
    assert not notification_models.Notice.objects.exists()


def test_a_missing_tariff(agreement: customer_models.ServiceAgreement) -> None:
    models.Tariff.objects.update(effective_until=datetime.date(2012, 4, 10))
    with pytest.raises(issue_bill.UnableToIssueBill, match="in force on 2012-04-10") as refusal:
        issue(agreement)
    assert refusal.value.code == "no_tariff"
    assert not models.Bill.objects.exists()


def test_versions_of_a_tariff_follow_each_other(agreement: customer_models.ServiceAgreement) -> None:
    first = models.Tariff.objects.get()
    assert import_sheet(agreement, effective_from=first.effective_from) == first
    later = import_sheet(agreement, effective_from=datetime.date(2013, 1, 1))
    between = import_sheet(agreement, effective_from=datetime.date(2012, 6, 1))
    first.refresh_from_db()
    assert (first.effective_until, between.effective_until, later.effective_until) == (
        datetime.date(2012, 6, 1),
        datetime.date(2013, 1, 1),
        None,
    )
    with pytest.raises(import_tariff.UnableToImportTariff) as refusal:
        import_sheet(agreement, effective_from=datetime.date(2012, 6, 1), text=SHEET + " ")
    assert refusal.value.code == "version_exists"


def test_months_of_daylight_saving_have_all_their_hours(agreement: customer_models.ServiceAgreement) -> None:
    zone = zoneinfo.ZoneInfo(agreement.account.utility.time_zone)
    for month, hours in ((3, 743), (11, 721)):
        starts = datetime.datetime(2012, month, 1, tzinfo=zone)
        ends = datetime.datetime(2012, month + 1, 1, tzinfo=zone)
        assert (ends.astimezone(datetime.UTC) - starts.astimezone(datetime.UTC)) == datetime.timedelta(hours=hours)
