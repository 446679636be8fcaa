"""A utility's gas budget and the bills of its customers, through the API, on a real chain."""

import datetime
from typing import Any

from openvpp.core import clock
from relayer import models
from relayer.usecases import settle_sponsorships
from tests.functional.conftest import DUE_UNITS, STABLECOINS, Person, Town


def allow(town: Town, **terms: Any) -> models.SponsorshipPolicy:
    now = clock.get_now()
    return models.SponsorshipPolicy.objects.create(
        utility=town.utility,
        name="Bill payments",
        method="bill_payment",
        period="month",
        starts_at=now - datetime.timedelta(days=40),
        made_at=now,
        **terms,
    )


def test_a_bill_is_paid_from_the_budget_and_the_next_one_by_its_customer(town: Town, ada: Person) -> None:
    allow(town, limit_count=1)
    first, second = town.bill(ada), town.bill(ada, month=8)
    quote = ada.post(f"bills/{first.pk}/quotes/", {"token": "USDX"}).json()
    assert (quote["fee_mode"], quote["reason"]) == ("utility", "The utility pays, within “Bill payments”.")
    budget = models.GasBudget.objects.get()
    assert (budget.reserved_count, budget.reserved_wei) == (1, models.FeeQuote.objects.get().gas_cost_wei)

    other = ada.post(f"bills/{second.pk}/quotes/", {"token": "USDX"})

    assert other.status_code == 201, other.json()
    assert (other.json()["fee_mode"], other.json()["fee_token"]["symbol"]) == ("stablecoin", "USDX")
    assert other.json()["reason"] == (
        "The gas budget “Bill payments” is used up. You are asked to pay the network fee."
    )
    asked = ada.post(f"bills/{second.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"})
    assert (asked.status_code, asked.json()["code"]) == (409, "budget_used_up")
    assert asked.json()["budgets"][0]["left_count"] == 0

    answer = ada.post(f"bills/{first.pk}/payments/", {"quote_id": quote["quote_id"], "amount_units": str(DUE_UNITS)})
    assert answer.status_code == 202, answer.json()
    town.finish()
    settle_sponsorships.settle_sponsorships(chain_id=town.utility.chain_id, now=clock.get_now())

    budget.refresh_from_db()
    sponsorship = models.Sponsorship.objects.get()
    operation = models.UserOperation.objects.get()
    assert (sponsorship.state, sponsorship.user_operation_hash) == ("settled", operation.hash)
    assert sponsorship.cost_wei == operation.gas_cost_wei
    assert (budget.reserved_wei, budget.settled_wei, budget.settled_count) == (0, operation.gas_cost_wei, 1)


def test_a_quote_that_is_not_used_gives_its_gas_back(town: Town, ada: Person) -> None:
    allow(town, limit_count=1)
    bill = town.bill(ada)
    assert ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX"}).json()["fee_mode"] == "utility"
    later = models.FeeQuote.objects.get().expires_at + datetime.timedelta(seconds=10)
    town.chain.move_to(int(later.timestamp()))
    town.chain.rpc("anvil_mine", "0x4")
    assert settle_sponsorships.settle_sponsorships(chain_id=town.utility.chain_id, now=clock.get_now()) == 1
    assert ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX"}).json()["fee_mode"] == "utility"


def test_who_holds_no_more_than_the_bill_is_asked_for_the_fee_in_the_other_token(town: Town, ada: Person) -> None:
    allow(town, limit_count=0)
    bill = town.bill(ada, cents=STABLECOINS // 10_000)
    quote = ada.post(f"bills/{bill.pk}/quotes/", {"token": "USDX"}).json()
    assert (quote["amount_units"], quote["fee_mode"], quote["fee_token"]["symbol"]) == (
        str(STABLECOINS),
        "ovpp",
        "OVPP",
    )
    assert not models.Sponsorship.objects.exists()
