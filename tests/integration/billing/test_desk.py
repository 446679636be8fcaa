"""The staff's pages of money: looked at by role and utility, written by nobody, forms that end in use cases."""

import datetime
import io
import pathlib
from typing import Any

import pytest
from django import test
from django.core.files import uploadedfile

from billing import models
from billing.usecases import receive_bill
from customers import models as customer_models
from meters.usecases import ingest_readings
from tests.factories import billing, customers, wallets

SEED = pathlib.Path(__file__).parents[3] / "openvpp" / "seed_data"
PAGES = [
    "billing/tariff/",
    "billing/bill/",
    "billing/payment/",
    "billing/ledgeraccount/",
    "billing/ledgertransaction/",
    "wallets/wallet/",
    "wallets/operation/",
    "wallets/sessionkeygrant/",
]


def staff(utility: customer_models.Utility, role: str) -> test.Client:
    client = test.Client()
    client.force_login(customers.StaffRole.create(utility=utility, role=role).user)
    return client


@pytest.fixture
def bill(transactional_db: None) -> models.Bill:
    grant = wallets.SessionKeyGrant.create()
    account = customers.CustomerAccount.create(utility=grant.wallet.utility)
    return receive_bill.receive_bill(
        utility_id=account.utility_id,
        received=receive_bill.Received(
            account_number=account.number,
            number="R-1",
            starts_on=datetime.date(2026, 9, 1),
            ends_on=datetime.date(2026, 10, 1),
            due_on=datetime.date(2026, 10, 22),
            currency="USD",
            amount_due_cents=6_140,
            lines=[receive_bill.Line(label="Energy", amount_cents=6_140)],
        ),
        now=datetime.datetime(2026, 10, 1, tzinfo=datetime.UTC),
    )


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_seen_by_role_and_utility(bill: models.Bill, path: str) -> None:
    own = staff(bill.utility, "auditor").get(f"/admin/{path}")
    assert own.status_code == 200
    assert test.Client().get(f"/admin/{path}").status_code == 302
    assert staff(bill.utility, "program_manager").get(f"/admin/{path}").status_code == 403
    other = staff(customers.Utility.create(), "auditor").get(f"/admin/{path}")
    assert other.status_code == 200
    assert bill.number not in other.content.decode()
    assert b"1 result" not in other.content


@pytest.mark.parametrize(
    "model", [models.Bill, models.LedgerAccount, models.LedgerTransaction], ids=lambda model: str(model.__name__)
)
def test_rows_are_seen_and_not_written(bill: models.Bill, model: Any) -> None:
    row = model.objects.first()
    path = f"/admin/billing/{model.__name__.lower()}/{row.pk}/change/"
    auditor = staff(bill.utility, "auditor")
    assert auditor.get(path).status_code == 200
    for client in (auditor, staff(bill.utility, "administrator")):
        assert client.post(path, {"number": "X"}).status_code == 403
        assert client.get(path.replace("change", "delete")).status_code == 403
    assert staff(customers.Utility.create(), "auditor").get(path).status_code == 302
    bill.refresh_from_db()
    assert bill.number == "R-1"


def test_a_bill_shows_its_lines_and_a_wallet_no_key(bill: models.Bill) -> None:
    client = staff(bill.utility, "csr")
    shown = client.get(f"/admin/billing/bill/{bill.pk}/change/").content.decode()
    assert "61.40 USD" in shown
    assert "61.400000000" in shown
    wallet = bill.utility.wallets.get()
    page = client.get(f"/admin/wallets/wallet/{wallet.pk}/change/").content.decode()
    assert wallet.address in page
    assert wallet.salt not in page


def test_an_analyst_imports_a_tariff_and_issues_a_bill(transactional_db: None) -> None:
    agreement = customers.ServiceAgreement.create(starts_on=datetime.date(2012, 3, 1), tariff_code="RES-TOU")
    utility = agreement.account.utility
    ingest_readings.ingest_green_button(
        stream=io.BytesIO((SEED / "green_button_hourly_32_days.xml").read_bytes()),
        utility_id=utility.pk,
        service_point_id=agreement.service_point_id,
        now=datetime.datetime(2012, 5, 2, tzinfo=datetime.UTC),
    )
    analyst = staff(utility, "billing_analyst")
    sheet = uploadedfile.SimpleUploadedFile("sheet.json", (SEED / "tariff_psegli_residential_tou.json").read_bytes())
    answer = analyst.post(
        "/admin/billing/tariff/import/",
        {"utility": utility.pk, "code": "RES-TOU", "effective_from": "2012-01-01", "file": sheet},
    )
    assert answer.status_code == 302, answer.content.decode()
    wish = {
        "utility": utility.pk,
        "account": agreement.account.number,
        "starts_on": "2012-04-01",
        "ends_on": "2012-05-01",
    }
    assert analyst.post("/admin/billing/bill/issue/", wish).status_code == 302
    assert models.Bill.objects.get().amount_due_cents == 47_002


@pytest.mark.parametrize(
    ("file", "says"), [(b"not json", "Not JSON"), (b"\xff\xfe", "not text"), (b'{"surprise": 1}', "Unknown field")]
)
def test_a_sheet_that_cannot_be_read(transactional_db: None, file: bytes, says: str) -> None:
    utility = customers.Utility.create()
    answer = staff(utility, "billing_analyst").post(
        "/admin/billing/tariff/import/",
        {"utility": utility.pk, "code": "RES", "file": uploadedfile.SimpleUploadedFile("sheet.json", file)},
    )
    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert not models.Tariff.objects.exists()


@pytest.mark.parametrize("path", ["billing/tariff/import/", "billing/bill/issue/"])
def test_forms_are_for_analysts_of_the_utility(bill: models.Bill, path: str) -> None:
    for role in ("csr", "auditor", "program_manager"):
        assert staff(bill.utility, role).get(f"/admin/{path}").status_code == 403
    stranger = staff(customers.Utility.create(), "billing_analyst")
    assert bill.utility.name not in stranger.get(f"/admin/{path}").content.decode()
    wish = {"utility": bill.utility_id, "account": bill.account.number, "code": "RES"}
    answer = stranger.post(f"/admin/{path}", wish | {"starts_on": "2026-08-01", "ends_on": "2026-09-01"})
    assert answer.status_code == 200
    assert "Select a valid choice" in answer.content.decode()
    assert models.Bill.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "button"), [("billing/tariff/", "Import a tariff"), ("billing/bill/", "Issue a bill")]
)
def test_only_analysts_see_the_button(bill: models.Bill, path: str, button: str) -> None:
    for role, sees in (("billing_analyst", True), ("administrator", True), ("csr", False), ("auditor", False)):
        assert (button in staff(bill.utility, role).get(f"/admin/{path}").content.decode()) is sees, role


def test_a_bill_that_cannot_be_issued_says_why(bill: models.Bill) -> None:
    billing.Bill.create(account=bill.account)
    wish = {"utility": bill.utility_id, "account": bill.account.number}
    answer = staff(bill.utility, "billing_analyst").post(
        "/admin/billing/bill/issue/", wish | {"starts_on": "2026-08-01", "ends_on": "2026-09-01"}
    )
    assert "took no service" in answer.content.decode()
    assert models.Bill.objects.count() == 2
