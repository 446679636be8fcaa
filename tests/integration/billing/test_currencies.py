"""Currencies that are not counted in hundredths are refused by name before anything is rounded or booked."""

import datetime

import pytest

from billing import models
from billing.domain import currencies
from billing.usecases import draft_bills, import_tariff, issue_bill, receive_bill
from customers import models as customer_models
from tests.factories import customers
from tests.integration.billing.test_draft_bills import APRIL, MARCH, NOW, sheet


@pytest.mark.parametrize(("currency", "digits"), [("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_every_way_to_a_bill_refuses_it(transactional_db: None, currency: str, digits: int) -> None:
    account: customer_models.CustomerAccount = customers.CustomerAccount.create(utility__currency=currency)
    received = receive_bill.Received(
        account_number=account.number,
        number="R-1",
        starts_on=MARCH,
        ends_on=APRIL,
        due_on=APRIL,
        currency=currency,
        amount_due_cents=100,
        lines=[receive_bill.Line(label="Energy", amount_cents=100)],
    )
    utility_id = account.utility_id
    for way in (
        lambda: import_tariff.import_tariff(
            utility_id=utility_id, code="RES", text=sheet(), effective_from=MARCH, now=NOW
        ),
        lambda: issue_bill.issue_bill(account_id=account.pk, starts_on=MARCH, ends_on=APRIL, now=NOW),
        lambda: receive_bill.receive_bill(utility_id=utility_id, received=received, now=NOW),
    ):
        with pytest.raises(currencies.UnableToBillInCurrency) as refusal:
            way()
        assert refusal.value.code == "currency_not_in_hundredths"
        assert refusal.value.extra == {"currency": currency, "decimal_places": digits}
    with pytest.raises(draft_bills.UnableToDraftBills, match="bills are kept in hundredths"):
        draft_bills.draft_bills(utility_id=utility_id, starts_on=MARCH, ends_on=APRIL, now=NOW)
    assert not models.Bill.objects.exists()
    assert not models.Tariff.objects.exists()
    assert not models.BillRun.objects.exists()


def test_rounding_finer_than_bills_are_kept(transactional_db: None) -> None:
    utility = customers.Utility.create()
    with pytest.raises(import_tariff.UnableToImportTariff) as refusal:
        import_tariff.import_tariff(
            utility_id=utility.pk,
            code="RES",
            text=sheet(),
            effective_from=datetime.date(2026, 1, 1),
            terms={"minor_digits": 3},
            now=NOW,
        )
    assert refusal.value.code == "too_fine_rounding"
    assert not models.Tariff.objects.exists()
