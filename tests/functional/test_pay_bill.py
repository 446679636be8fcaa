"""A customer pays a bill through the API, on a real chain, with everything between."""

import pytest

from billing import models, queries
from notifications import models as notification_models
from tests.functional.conftest import DUE_CENTS, DUE_UNITS, OVPP, STABLECOINS, TREASURY, Person, Town
from wallets import models as wallet_models

STEPS = ["reserved", "queued", "submitted", "mined", "succeeded"]


@pytest.mark.parametrize("mode", ["utility", "stablecoin", "ovpp"])
def test_a_bill_is_paid_to_the_unit_in_each_fee_mode(town: Town, ada: Person, mode: str) -> None:
    bill = town.bill(ada)
    answer = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": mode})
    assert answer.status_code == 201, answer.json()
    quote = answer.json()
    assert quote["amount_units"] == str(DUE_UNITS)
    assert (int(quote["fee_units"]) > 0) is (mode != "utility")

    answer = ada.post(f"bills/{bill.pk}/payments/", {"quote_id": quote["quote_id"], "amount_units": str(DUE_UNITS)})
    assert answer.status_code == 202, answer.json()
    assert answer.json()["state"] == "pending"
    assert ada.get(f"bills/{bill.pk}/").json()["state"] == "pending"
    town.finish()

    fee_units = int(quote["fee_units"])
    own_fee, ovpp_fee = (fee_units if mode == "stablecoin" else 0), (fee_units if mode == "ovpp" else 0)
    assert town.held(TREASURY) == (DUE_UNITS + own_fee, ovpp_fee, 0)
    assert town.held(ada.wallet.address) == (STABLECOINS - DUE_UNITS - own_fee, OVPP - ovpp_fee, 0)

    receipt = ada.get(f"payments/{answer.json()['id']}/").json()
    assert receipt["state"] == "paid"
    assert [int(each["units"]) for each in receipt["transfers"]] == (
        [DUE_UNITS, fee_units] if mode == "ovpp" else [DUE_UNITS + own_fee]
    )
    assert ada.get(f"bills/{bill.pk}/").json()["state"] == "paid"
    operation = ada.get(f"operations/{receipt['operation_id']}/").json()
    assert [step["state"] for step in operation["history"]] == STEPS
    assert operation["transaction_hash"] == receipt["transaction_hash"]

    payment = models.Payment.objects.get()
    stablecoin, ovpp = (f"31337:{token.address}" for token in (town.stablecoin, town.ovpp))
    expected = {
        ("receivable", "USD"): 0,
        ("revenue", "USD"): -DUE_CENTS,
        ("conversion", "USD"): DUE_CENTS,
        ("treasury", stablecoin): DUE_UNITS + own_fee,
        ("conversion", stablecoin): -DUE_UNITS,
        ("gas_expense", "31337:wei"): payment.gas_cost_wei,
        ("gas_deposit", "31337:wei"): -(payment.gas_cost_wei or 0),
    }
    if own_fee:
        expected["fee_income", stablecoin] = -own_fee
    if ovpp_fee:
        expected |= {("treasury", ovpp): ovpp_fee, ("fee_income", ovpp): -ovpp_fee}
    assert queries.get_balances(utility_id=town.utility.pk) == expected
    kinds = notification_models.Notice.objects.filter(user=ada.user).order_by("sequence").values_list("kind", flat=True)
    assert list(kinds) == ["bill.issued", "payment.pending", "payment.paid"]
    grant = wallet_models.SessionKeyGrant.objects.get()
    assert (grant.state, grant.reserved_total_units) == ("active", DUE_UNITS + own_fee)
