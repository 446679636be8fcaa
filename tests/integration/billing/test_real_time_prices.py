"""A file of market prices becomes a bill at real-time prices; a broken file leaves nothing."""

import datetime

import pytest
from django.core.files import uploadedfile

from billing import models
from billing.domain import rating
from billing.usecases import price_load
from customers import models as customer_models
from tests.integration.billing import test_desk as desk
from tests.integration.billing import test_issue_bill as bills

agreement = bills.agreement
APRIL = datetime.datetime(2012, 4, 1, 4, tzinfo=datetime.UTC)  # midnight in New York


def market(hours: int, price: str = "50") -> str:
    rows = [f"{(APRIL + datetime.timedelta(hours=hour)).isoformat()},{price}" for hour in range(hours)]
    return "\n".join(["starts_at,price", *rows])


def use_index(agreement: customer_models.ServiceAgreement) -> None:
    models.Tariff.objects.update(terms={"real_time_index": "DAY-AHEAD"})


def test_a_month_at_real_time_prices(agreement: customer_models.ServiceAgreement) -> None:
    use_index(agreement)
    utility_id = agreement.account.utility_id
    with pytest.raises(rating.UnableToRate) as refusal:
        bills.issue(agreement)
    assert refusal.value.code == "no_real_time_price"
    assert not models.Bill.objects.exists()
    for _ in range(2):  # the second time replaces
        taken = price_load.import_prices(
            utility_id=utility_id, index="DAY-AHEAD", text=market(720), minutes=60, is_per_mwh=True
        )
        assert (taken, models.MarketPrice.objects.count()) == (720, 720)
    bill = bills.issue(agreement)
    line = bill.lines.get(kind="real_time")
    assert (line.amount_nano, str(line.quantity)) == (110_767_400_000, "2215.348000")  # at 5 cents
    assert bill.amount_due_cents == 58_078  # 470.016… and 110.7674


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
        price_load.import_prices(utility_id=agreement.account.utility_id, index="X", text=text, minutes=60)
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
