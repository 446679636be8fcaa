"""Tariff comparison, forecast and explanation: four callers, exact facts, and what is said where there is nothing."""

import dataclasses
import datetime
import decimal
import json
from typing import Any

import pytest

from billing import models
from billing.domain import explanation
from billing.usecases import compare_tariffs, explain_bill, forecast_bill
from customers import models as customer_models
from meters import models as meter_models
from tests.factories import billing, customers
from tests.integration.billing import test_adjusted_bill as adjusted
from tests.integration.billing import test_doors as doors
from tests.integration.billing import test_issue_bill as bills

agreement = bills.agreement
MIDDLE = datetime.date(2012, 4, 16)
PATHS = ["accounts/{account}/tariff-comparison/", "accounts/{account}/forecast/", "bills/{bill}/explanation/"]


def owner(agreement: customer_models.ServiceAgreement) -> customer_models.User:
    user = customer_models.AccountAccess.objects.get(account=agreement.account).customer.user
    assert user is not None
    return user


def ask(path: str, agreement: customer_models.ServiceAgreement, bill: models.Bill | None = None) -> Any:
    filled = path.format(account=agreement.account_id, bill=bill.pk if bill else "")
    answer = doors.ask(filled, user=owner(agreement))
    assert answer.status_code == 200, answer.json()
    return answer.json()


def flat_sheet(agreement: customer_models.ServiceAgreement, cents: str, code: str, sector: str = "Residential") -> None:
    sheet = json.loads(bills.SHEET)
    rate = sheet["items"][0]
    for tiers in rate["energyratestructure"]:
        tiers[0]["rate"], tiers[0]["adj"] = float(cents), 0
    rate["sector"], rate["label"], rate["name"] = sector, code, f"{code} of {cents}"
    bills.import_sheet(agreement, effective_from=datetime.date(2012, 1, 1), text=json.dumps(sheet), code=code)


@pytest.mark.parametrize("path", PATHS)
def test_four_callers(agreement: customer_models.ServiceAgreement, path: str) -> None:
    bill = bills.issue(agreement)
    filled = path.format(account=agreement.account_id, bill=bill.pk)
    assert doors.ask(filled).status_code == 401
    wrong = doors.ask(filled, user=owner(agreement), scope="openid notices:read")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "insufficient_scope")
    stranger = customers.Customer.create(utility=agreement.account.utility).user
    assert doors.ask(filled, user=stranger).status_code == 404
    assert doors.ask(filled, user=owner(agreement), scope="bills:read").status_code == 200


@pytest.mark.parametrize(
    ("path", "state"),
    [(PATHS[0], "no_service"), (PATHS[1], "no_service"), (PATHS[2], "received")],
)
def test_where_there_is_nothing_yet(transactional_db: None, path: str, state: str) -> None:
    access = customers.AccountAccess.create()
    bill = billing.Bill.create(account=access.account)
    path = path.format(account=access.account.pk, bill=bill.pk)
    assert doors.ask(path, user=access.customer.user).json()["state"] == state


def test_a_service_without_readings(transactional_db: None) -> None:
    agreement = customers.ServiceAgreement.create()
    access = customers.AccountAccess.create(account=agreement.account)
    states = [doors.ask(path.format(account=agreement.account_id), user=access.customer.user) for path in PATHS[:2]]
    assert [answer.json()["state"] for answer in states] == ["no_readings", "no_tariff"]


def test_each_tariff_on_the_readings_of_the_account(agreement: customer_models.ServiceAgreement) -> None:
    flat_sheet(agreement, "0.05", "FLAT")
    flat_sheet(agreement, "0.01", "SHOP", sector="Commercial")
    found = ask(PATHS[0], agreement)
    assert (found["state"], found["current_tariff"], found["months_left_out"]) == ("ready", "RES-TOU", [])
    assert [(row["code"], row["is_current"]) for row in found["tariffs"]] == [("FLAT", False), ("RES-TOU", True)]
    flat, current = found["tariffs"]
    assert (current["total"], current["difference"]) == ("470.02", "0.00")
    assert current["months"] == [{"starts_on": "2012-04-01", "ends_on": "2012-05-01", "cost": "470.02"}]
    fixed = bills.issue(agreement).lines.get(kind="fixed").amount_nano
    # 2,215.348 kWh at 5 cents are 110.7674, and the same customer charge.
    expected = (decimal.Decimal("110.7674") + decimal.Decimal(fixed).scaleb(-9)).quantize(decimal.Decimal("0.01"))
    assert flat["total"] == str(expected)
    assert flat["difference"] == str(expected - decimal.Decimal("470.02"))
    assert len(found["caveats"]) == 4


def test_riders_and_taxes_are_in_every_tariff(agreement: customer_models.ServiceAgreement) -> None:
    adjusted.rider(agreement.account.utility, tariff_codes="RES-TOU")
    adjusted.rider(agreement.account.utility, code="OTHER", tariff_codes="FLAT", price="1")
    found = ask(PATHS[0], agreement)
    assert found["tariffs"][0]["total"] == "492.17"  # 470.02 (exactly 470.015…) and 22.15348


def test_a_month_with_a_gap_is_left_out(agreement: customer_models.ServiceAgreement) -> None:
    now = datetime.datetime(2012, 7, 1, 12, tzinfo=datetime.UTC)
    found = compare_tariffs.compare(account=agreement.account, now=now)
    assert (found.state, found.left_out) == ("ready", ())
    meter_models.MeterDay.objects.filter(local_date=datetime.date(2012, 4, 10)).delete()
    found = compare_tariffs.compare(account=agreement.account, now=now)
    assert (found.state, found.left_out) == ("no_readings", (datetime.date(2012, 4, 1),))


def test_the_running_bill(agreement: customer_models.ServiceAgreement) -> None:
    now = datetime.datetime(2012, 4, 20, 16, tzinfo=datetime.UTC)
    found = forecast_bill.forecast_bill(account=agreement.account, now=now)
    assert (found.state, found.starts_on, found.ends_on) == ("ready", bills.FIRST, bills.AFTER)
    assert found.read_until == datetime.date(2012, 4, 20)
    assert found.spread is not None
    assert found.so_far_nano is not None
    assert found.so_far_nano < found.spread.low_nano < found.spread.expected_nano < found.spread.high_nano
    assert found.spread.low_nano <= 470_02 * 10**7 <= found.spread.high_nano
    assert forecast_bill.forecast_bill(account=agreement.account, now=now) == found
    so_far = bills.issue(agreement, bills.FIRST, datetime.date(2012, 4, 20), now)
    assert so_far.amount_due_cents * 10**7 == found.so_far_nano


def test_a_bill_whose_days_are_all_read(agreement: customer_models.ServiceAgreement) -> None:
    bills.issue(agreement, bills.FIRST, MIDDLE)
    now = datetime.datetime(2012, 5, 1, 3, tzinfo=datetime.UTC)  # still the last of April in New York
    found = forecast_bill.forecast_bill(account=agreement.account, now=now)
    assert (found.starts_on, found.ends_on) == (MIDDLE, bills.AFTER)  # as many days as the last bill
    assert found.spread is not None
    assert found.read_until == datetime.date(2012, 4, 30)  # the day that runs is not counted
    assert found.spread.high_nano - found.spread.low_nano < found.spread.expected_nano // 10


def test_too_few_days_to_go_by(agreement: customer_models.ServiceAgreement) -> None:
    now = datetime.datetime(2012, 4, 6, 16, tzinfo=datetime.UTC)
    found = forecast_bill.forecast_bill(account=agreement.account, now=now)
    assert (found.state, found.spread) == ("too_few_days", None)


def effects(found: explain_bill.Explanation) -> dict[str, int]:
    return {effect.cause.value: effect.amount_nano for effect in found.effects}


def test_a_first_bill_is_the_first(agreement: customer_models.ServiceAgreement) -> None:
    found = ask(PATHS[2], agreement, bills.issue(agreement))
    assert (found["state"], found["difference"], found["effects"]) == ("first", None, [])


def test_the_same_days_and_prices_differ_by_use(agreement: customer_models.ServiceAgreement) -> None:
    first, second = bills.issue(agreement, bills.FIRST, MIDDLE), bills.issue(agreement, MIDDLE, bills.AFTER)
    found = effects(explain_bill.explain(issued=second))
    difference = (second.amount_due_cents - first.amount_due_cents) * 10**7
    assert found == {"days": 0, "usage": difference, "price": 0, "service": 0, "readings": 0, "settlement": 0}
    shown = ask(PATHS[2], agreement, second)
    assert sum(decimal.Decimal(effect["amount"]) for effect in shown["effects"]) == decimal.Decimal(shown["difference"])
    use = next(effect for effect in shown["effects"] if effect["cause"] == "usage")
    assert use["words"]["en"].startswith("You used ")
    assert use["words"]["es"].startswith("Usó ")
    assert "temperatures" in shown["weather"]["en"]


def test_a_longer_bill_is_dearer_by_its_days(agreement: customer_models.ServiceAgreement) -> None:
    first = bills.issue(agreement, bills.FIRST, datetime.date(2012, 4, 11))
    second = bills.issue(agreement, datetime.date(2012, 4, 11), bills.AFTER)
    found = effects(explain_bill.explain(issued=second))
    energy = sum(line.amount_nano for line in first.lines.filter(kind="energy"))
    monthly = [sum(line.amount_nano for line in bill.lines.filter(kind="fixed")) for bill in (first, second)]
    assert found["days"] == energy + monthly[1] - monthly[0]  # twice the days
    assert (found["price"], found["readings"]) == (0, 0)
    assert sum(found.values()) == (second.amount_due_cents - first.amount_due_cents) * 10**7


def test_prices_credits_and_use_are_told_apart(agreement: customer_models.ServiceAgreement) -> None:
    dearer = json.loads(bills.SHEET)
    for tiers in dearer["items"][0]["energyratestructure"]:
        tiers[0]["rate"], tiers[0]["adj"] = 1, 0
    first = bills.issue(agreement, bills.FIRST, MIDDLE)
    bills.import_sheet(agreement, effective_from=MIDDLE, text=json.dumps(dearer))
    adjusted.enter(models.AccountCredit, account=agreement.account, label="Outage", amount="7", given_on=MIDDLE)
    second = bills.issue(agreement, MIDDLE, bills.AFTER)
    found = effects(explain_bill.explain(issued=second))
    kwh = sum(line.quantity for line in second.lines.filter(kind="energy"))
    old = models.Bill.objects.get(pk=first.pk)
    assert found["settlement"] == -7 * 10**9
    assert found["days"] == 0
    assert sum(found.values()) == (second.amount_due_cents - old.amount_due_cents) * 10**7
    # What the same use cost before is the usage effect; what it costs more now, to the dollar a kWh, is the price.
    charged = second.amount_due_cents * 10**7 + 7 * 10**9
    fixed = sum(line.amount_nano for line in second.lines.filter(kind="fixed"))
    assert abs(charged - fixed - int(kwh * 10**9)) <= 10**7 // 2
    assert found["price"] == charged - (first.amount_due_cents * 10**7 + found["usage"])


def test_readings_corrected_after_a_bill_are_named(agreement: customer_models.ServiceAgreement) -> None:
    first = bills.issue(agreement, bills.FIRST, MIDDLE)
    second = bills.issue(agreement, MIDDLE, bills.AFTER)
    customers.MeterInstallation.create(
        service_point=agreement.service_point, multiplier=2, starts_on=bills.FIRST, ends_on=MIDDLE
    )
    found = effects(explain_bill.explain(issued=second))
    energy = sum(line.amount_nano for line in first.lines.filter(kind="energy"))
    assert abs(found["readings"] - energy) <= 10**7
    assert sum(found.values()) == (second.amount_due_cents - first.amount_due_cents) * 10**7


def test_the_weather_is_named_where_it_is_known(agreement: customer_models.ServiceAgreement) -> None:
    bills.issue(agreement, bills.FIRST, MIDDLE)
    second = bills.issue(agreement, MIDDLE, bills.AFTER)
    source = meter_models.WeatherSource.objects.create(utility=agreement.account.utility, name="Harbor Airport")
    days = [bills.FIRST + datetime.timedelta(days=number) for number in range(30)]
    meter_models.WeatherDay.objects.bulk_create(
        meter_models.WeatherDay(source=source, date=day, mean_milli_c=8_000 if day < MIDDLE else 20_000) for day in days
    )
    said = explain_bill.explain(issued=second).weather
    assert said["en"] == (
        "It was 20.0 °C on average (0.0 heating, 30.0 cooling degree days), before 8.0 °C (150.0 and 0.0); "
        "it is in your use."
    )
    assert said["es"].startswith("La media fue de 20.0 °C")
    meter_models.WeatherDay.objects.filter(date=MIDDLE).delete()
    assert explain_bill.explain(issued=second).weather == explanation.WEATHER


def test_bills_that_cannot_be_priced_again(agreement: customer_models.ServiceAgreement) -> None:
    bills.issue(agreement, bills.FIRST, MIDDLE)
    second = bills.issue(agreement, MIDDLE, bills.AFTER)
    meter_models.MeterDay.objects.filter(local_date=datetime.date(2012, 4, 10)).delete()
    found = explain_bill.explain(issued=second)
    assert (found.state, found.effects) == ("not_repriced", ())
    assert "2012-04-10" in found.detail


def test_words_say_zero_plainly() -> None:
    effect = explanation.Effect(cause=explanation.Cause.DAYS, amount_nano=0)
    said = explanation.words(effect=effect, before=(30, 0), after=(31, 0), currency="USD")
    assert said["en"] == "This bill is for 31 days, the one before was for 30: 0.00 USD."
    dearer = explanation.words(
        effect=dataclasses.replace(effect, amount_nano=1_234_560_000_000), before=(30, 0), after=(31, 0), currency="USD"
    )
    assert dearer["es"].endswith("+1,234.56 USD.")
