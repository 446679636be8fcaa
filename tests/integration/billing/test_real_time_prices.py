"""A file of market prices becomes a bill at real-time prices; a broken file leaves nothing."""

import datetime
import decimal

import pytest
from django.core.files import uploadedfile
from django.db import utils

from billing import models
from billing.domain import rating
from billing.usecases import price_load, rebill
from customers import models as customer_models
from tests.factories import customers
from tests.integration.billing import test_desk as desk
from tests.integration.billing import test_issue_bill as bills

agreement = bills.agreement
NOW = datetime.datetime(2026, 4, 2, 12, tzinfo=datetime.UTC)
APRIL = datetime.datetime(2012, 4, 1, 4, tzinfo=datetime.UTC)  # midnight in New York


def market(hours: int, price: str = "50") -> str:
    rows = [f"{(APRIL + datetime.timedelta(hours=hour)).isoformat()},{price}" for hour in range(hours)]
    return "\n".join(["starts_at,price", *rows])


def take(utility_id: int, text: str, now: datetime.datetime) -> int:
    return price_load.import_prices(
        utility_id=utility_id, index="DAY-AHEAD", text=text, minutes=60, is_per_mwh=True, now=now
    )


def use_index(agreement: customer_models.ServiceAgreement) -> None:
    models.Tariff.objects.update(terms={"real_time_index": "DAY-AHEAD"})


def test_a_month_at_real_time_prices(agreement: customer_models.ServiceAgreement) -> None:
    use_index(agreement)
    utility_id = agreement.account.utility_id
    with pytest.raises(rating.UnableToRate) as refusal:
        bills.issue(agreement)
    assert refusal.value.code == "no_real_time_price"
    assert not models.Bill.objects.exists()
    for expected in (720, 0):  # the second time nothing is news
        assert take(utility_id, market(720), NOW) == expected
        assert models.MarketPrice.objects.count() == 720
    bill = bills.issue(agreement)
    line = bill.lines.get(kind="real_time")
    assert (line.amount_nano, str(line.quantity)) == (110_767_400_000, "2215.348000")  # at 5 cents
    assert bill.amount_due_cents == 58_078  # 470.016… and 110.7674
    assert bill.prices_known_at == NOW.isoformat()


def test_a_corrected_price_is_a_version_and_the_bill_says_which_it_used(
    agreement: customer_models.ServiceAgreement,
) -> None:
    use_index(agreement)
    utility_id = agreement.account.utility_id
    take(utility_id, market(720), NOW)
    old = bills.issue(agreement)
    later = NOW + datetime.timedelta(days=3)
    assert take(utility_id, market(1, "100"), later) == 1

    new = rebill.rebill(
        bill_id=old.pk, user=customers.StaffUser.create(), reason="The market corrected its prices", now=later
    )

    first = models.MarketPrice.objects.filter(starts_at=APRIL).order_by("version")
    assert [(row.version, str(row.price), row.taken_at) for row in first] == [
        (1, "0.050000000", NOW),
        (2, "0.100000000", later),
    ]
    old.refresh_from_db()
    assert (old.prices_known_at, new.prices_known_at) == (NOW.isoformat(), later.isoformat())
    used = models.MarketPrice.objects.filter(taken_at__lte=old.prices_known_at)
    assert set(used.values_list("price", flat=True)) == {decimal.Decimal("0.05")}
    difference = new.lines.get(kind="real_time").amount_nano - old.lines.get(kind="real_time").amount_nano
    kwh = difference / 50_000_000
    assert 0 < kwh < 20  # one hour's, 5 cents dearer
    with pytest.raises(utils.IntegrityError):
        models.MarketPrice.objects.update(price=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "starts_at,price",
        "soon,5",
        "2012-04-01T00:00:00,5",
        "2012-04-01T00:00:00Z,x",
        market(1) + "\n" + market(1),
        "2012-04-01T00:00:00Z,1e30",  # beyond what is kept
        "2012-04-01T00:00:00Z," + "1" * 200_000,  # beyond what a field of CSV holds
        "\n" * 16_000_001,
    ],
    ids=range(9),
)
def test_a_broken_file(agreement: customer_models.ServiceAgreement, text: str) -> None:
    with pytest.raises(price_load.UnableToImportPrices):
        price_load.import_prices(utility_id=agreement.account.utility_id, index="X", text=text, minutes=60, now=NOW)
    assert not models.MarketPrice.objects.exists()


def test_an_analyst_imports_prices(agreement: customer_models.ServiceAgreement) -> None:
    utility = agreement.account.utility
    path = "/admin/billing/marketprice/import/"
    file = uploadedfile.SimpleUploadedFile("prices.csv", market(3).encode())
    body = {"utility": utility.pk, "index": "DAY-AHEAD", "minutes": "60", "is_per_mwh": "on", "file": file}
    assert desk.staff(utility, "csr").post(path, body).status_code == 403
    file.seek(0)
    assert desk.staff(utility, "billing_analyst").post(path, body).status_code == 302
    assert {str(price) for price in models.MarketPrice.objects.values_list("price", flat=True)} == {"0.050000000"}
    assert desk.staff(utility, "auditor").get("/admin/billing/marketprice/").status_code == 200
