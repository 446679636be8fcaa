"""Two people make and change a gas budget; what is held is never cut off."""

import datetime
from typing import Any

import pytest
from django import test

from controls import models as controls_models
from controls.usecases import decide_change
from customers import models as customer_models
from openvpp.core import errors
from relayer import models, operations
from relayer.adapters import budgets
from relayer.domain import sponsoring
from relayer.usecases import change_sponsorship
from tests.factories import customers as customer_factories

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
WALLET = "0x1111111111111111111111111111111111111111"


@pytest.fixture
def utility() -> customer_models.Utility:
    return customer_factories.Utility.create()


@pytest.fixture
def people(utility: customer_models.Utility) -> tuple[customer_models.User, customer_models.User]:
    def administrator(name: str) -> customer_models.User:
        user = customer_models.User.objects.create(email=f"{name}@tests.example", is_staff=True)
        customer_models.StaffRole.objects.create(user=user, utility=utility, role="administrator")
        return user

    return administrator("maker"), administrator("checker")


def change(people: Any, subject: str, **after: Any) -> None:
    asked = decide_change.propose(
        kind="sponsorship", subject=subject, after=after, reason="Tests", maker=people[0], now=NOW
    )
    decide_change.approve(change_id=asked.pk, checker=people[1], now=NOW)


def claim(utility: customer_models.Utility, wei: int = 10) -> budgets.Claim:
    return budgets.Claim(
        utility_id=utility.pk,
        chain_id=utility.chain_id,
        request=sponsoring.Request(wallet=WALLET, methods=("bill_payment",)),
        most_wei=wei,
        valid_until=NOW + datetime.timedelta(minutes=10),
    )


def pay(utility: customer_models.Utility, wei: int = 10) -> operations.Payer:
    return operations.find_payer(claim=claim(utility, wei), utility_pays=True, now=NOW)


def test_nothing_is_paid_from_a_budget_that_one_person_asks_for(utility: customer_models.Utility, people: Any) -> None:
    subject = f"new:{utility.pk}"
    asked = decide_change.propose(
        kind="sponsorship", subject=subject, after={"limit_wei": "5"}, reason="Tests", maker=people[0], now=NOW
    )
    with pytest.raises(decide_change.UnableToDecide):
        decide_change.approve(change_id=asked.pk, checker=people[0], now=NOW)
    assert not models.SponsorshipPolicy.objects.exists()
    decide_change.approve(change_id=asked.pk, checker=people[1], now=NOW)
    row = models.SponsorshipPolicy.objects.get()
    assert (row.limit_wei, row.limit_count, row.period, row.is_local, row.starts_at) == (5, None, "month", True, NOW)
    with pytest.raises(operations.UnableToFindPayer) as refusal:
        pay(utility)
    assert refusal.value.extra["budgets"] == [
        {
            "name": "New gas budget",
            "policy": str(row.pk),
            "left_wei": "5",
            "left_count": None,
            "resets_at": "2026-12-01T05:00:00+00:00",
        }
    ]


def test_a_limit_holds_at_once_but_cuts_nothing_off(utility: customer_models.Utility, people: Any) -> None:
    change(people, f"new:{utility.pk}", limit_wei="100", limit_count="10")
    for _ in range(3):
        pay(utility)
    subject = str(models.SponsorshipPolicy.objects.get().pk)
    change(people, subject, limit_wei="20")
    budget = models.GasBudget.objects.get()
    assert (budget.limit_wei, budget.reserved_wei, models.SponsorshipPolicy.objects.get().limit_wei) == (30, 30, 20)
    with pytest.raises(operations.UnableToFindPayer):
        pay(utility)
    change(people, subject, limit_wei="40")
    pay(utility)
    budget.refresh_from_db()
    assert (budget.limit_wei, budget.reserved_wei, budget.reserved_count) == (40, 40, 4)
    change(people, subject, limit_wei="none")
    pay(utility, 1_000)
    budget.refresh_from_db()
    assert (budget.limit_wei, budget.limit_count, budget.reserved_count) == (None, 10, 5)
    change(people, subject, enabled=False)
    assert pay(utility).sponsorship_id is None


@pytest.mark.parametrize(
    "after",
    [
        {"limit_wei": "none"},
        {"limit_wei": "-1"},
        {"limit_count": "1.5"},
        {"limit_wei": "1", "method": "transfer"},
        {"limit_wei": "1", "wallet": "0x1"},
        {"limit_wei": "1", "program": "all"},
        {"limit_wei": "1", "period": "week"},
        {"limit_wei": "1", "ends_at": "2027-01-01T00:00:00"},
        {"limit_wei": "1", "ends_at": "2020-01-01T00:00:00+00:00"},
        {"limit_wei": "1", "name": " "},
        {"limit_wei": "1", "enabled": "yes"},
    ],
)
def test_what_is_no_policy_is_refused(utility: customer_models.Utility, people: Any, after: dict[str, Any]) -> None:
    with pytest.raises(errors.UnableTo):
        change(people, f"new:{utility.pk}", **(after | {"days_are_local": False}))
    assert not models.SponsorshipPolicy.objects.exists()


def test_a_policy_keeps_its_period(utility: customer_models.Utility, people: Any) -> None:
    change(people, f"new:{utility.pk}", limit_count="1")
    subject = str(models.SponsorshipPolicy.objects.get().pk)
    with pytest.raises(change_sponsorship.UnableToChangeSponsorship):
        change(people, subject, period="day")
    assert change_sponsorship.list_subjects(utility_id=utility.pk) == [f"new:{utility.pk}", subject]


def test_a_reservation_is_one_statement(
    utility: customer_models.Utility, people: Any, settings: Any, django_assert_num_queries: Any
) -> None:
    settings.SPONSORSHIP_MAX_AGE_S = 3600
    with django_assert_num_queries(1):  # what is paid for was read; nothing limits it
        assert (pay(utility).sponsorship_id, pay(utility).sponsorship_id) == (None, None)
    settings.SPONSORSHIP_MAX_AGE_S = 0
    change(people, f"new:{utility.pk}", limit_wei="100", limit_count="10")
    settings.SPONSORSHIP_MAX_AGE_S = 7200
    pay(utility)
    with django_assert_num_queries(1):
        pay(utility)
    assert models.GasBudget.objects.get().reserved_count == 2


def test_the_form_asks_for_a_new_budget_with_words_for_what_is_left_open(
    utility: customer_models.Utility, people: Any
) -> None:
    browser = test.Client()
    browser.force_login(people[0])
    address = f"/admin/controls/changerequest/propose/sponsorship/new:{utility.pk}/"
    page = browser.get(address).content.decode()
    assert "What a utility pays gas for" in page
    assert "New gas budget" in page
    asked = {
        "name": "Bill payments",
        "program": "any",
        "wallet": "any",
        "method": "bill_payment",
        "period": "month",
        "days_are_local": "on",
        "limit_wei": "250000000000000000",
        "limit_count": "none",
        "enabled": "on",
        "ends_at": "never",
        "reason": "November",
    }
    assert browser.post(address, asked | {"method": "all"}).status_code == 200
    assert not controls_models.ChangeRequest.objects.exists()
    assert browser.post(address, asked).status_code == 302
    change = controls_models.ChangeRequest.objects.get()
    assert (change.kind, change.after["limit_wei"], change.after["each_wallet"]) == (
        "sponsorship",
        "250000000000000000",
        False,
    )
    decide_change.approve(change_id=change.pk, checker=people[1], now=NOW)
    assert models.SponsorshipPolicy.objects.get().name == "Bill payments"
