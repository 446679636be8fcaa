"""The page of gas: who may look, what stands there, and the file of days."""

import csv
import datetime
import io
import zoneinfo
from typing import Any

import pytest
from django import test as django_test

from customers import models as customer_models
from openvpp.core import clock
from relayer import models
from relayer.usecases import report_gas
from tests.factories import customers as customer_factories
from tests.factories import relayer as relayer_factories

pytestmark = pytest.mark.django_db
COIN = 10**18
PAGE, FILE = "/admin/relayer/sponsorshippolicy/", "/admin/relayer/sponsorshippolicy/days.csv"


def sign_in(utility: customer_models.Utility | None, role: str = "program_manager") -> django_test.Client:
    user = customer_factories.User.create(is_staff=True)
    if utility is not None:
        customer_models.StaffRole.objects.create(user=user, utility=utility, role=role)
    browser = django_test.Client()
    browser.force_login(user)
    return browser


def budget(utility: customer_models.Utility, **terms: Any) -> models.GasBudget:
    now = clock.get_now()
    policy = models.SponsorshipPolicy.objects.create(
        utility=utility,
        name="Bill payments",
        period="whole",
        limit_wei=COIN,
        starts_at=now - datetime.timedelta(days=20),
        made_at=now,
    )
    return models.GasBudget.objects.create(
        policy=policy, starts_at=policy.starts_at, wallet="0x" + "00" * 20, limit_wei=COIN, **terms
    )


def paid(utility: customer_models.Utility, *, cost_wei: int, days_ago: int, budgets: list[int]) -> None:
    at = clock.get_now() - datetime.timedelta(days=days_ago)
    models.Sponsorship.objects.create(
        utility=utility,
        chain_id=1,
        payer="utility",
        reason="Tests",
        sender="0x" + "11" * 20,
        budgets=budgets,
        reserved_wei=2 * cost_wei,
        cost_wei=cost_wei,
        state="settled",
        valid_until=at,
        made_at=at,
        ended_at=at,
    )


def test_a_manager_sees_how_long_the_budget_lasts() -> None:
    utility: Any = customer_factories.Utility.create()
    row = budget(utility, settled_wei=7 * COIN // 10, settled_count=2, reserved_wei=COIN // 10, reserved_count=1)
    paid(utility, cost_wei=6 * COIN // 10, days_ago=3, budgets=[row.pk])
    paid(utility, cost_wei=COIN // 10, days_ago=6, budgets=[row.pk])
    page = sign_in(utility).get(PAGE).content.decode()
    assert "Bill payments" in page
    assert "80 % used" in page
    assert "width:70.00%" in page
    assert "width:10.00%" in page
    # A tenth of a coin a day of late, and two tenths left.
    until = clock.get_now().astimezone(zoneinfo.ZoneInfo(utility.time_zone)) + datetime.timedelta(days=2)
    assert f"it lasts until {until.day} {until:%b %Y}" in page
    assert "Ask for a change" not in page  # administrators do
    assert "Ask for a change" in sign_in(utility, "administrator").get(PAGE).content.decode()


def test_gas_and_fees_meet_by_day_and_come_as_a_file() -> None:
    utility: Any = customer_factories.Utility.create()
    paid(utility, cost_wei=5, days_ago=2, budgets=[])
    paid(utility, cost_wei=7, days_ago=2, budgets=[])
    paid(utility, cost_wei=100, days_ago=40, budgets=[])
    rows = list(csv.DictReader(io.StringIO(sign_in(utility).get(FILE + "?days=7").content.decode())))
    assert len(rows) == 7
    day = (clock.get_now() - datetime.timedelta(days=2)).date().isoformat()
    found = next(row for row in rows if row["day"] == day)
    assert (found["operations"], found["gas_wei"], found["fees_wei"], found["result_wei"]) == ("2", "12", "0", "-12")
    assert sum(int(row["gas_wei"]) for row in rows) == 12
    assert "gas-plot" in sign_in(utility).get(PAGE).content.decode()


def test_four_callers() -> None:
    utility: Any = customer_factories.Utility.create()
    other: Any = customer_factories.Utility.create()
    budget(utility)
    for address in (PAGE, FILE):
        assert django_test.Client().get(address).status_code == 302
        assert sign_in(None).get(address).status_code == 403
        assert sign_in(utility, "csr").get(address).status_code == 403
        assert "Bill payments" not in sign_in(other).get(address).content.decode()
        assert sign_in(other).get(f"{address}?utility={utility.pk}").status_code == 403
        assert sign_in(utility, "auditor").get(f"{address}?utility={utility.pk}").status_code == 200


def test_operations_count_with_the_fees_that_were_quoted_for_them() -> None:
    utility: Any = customer_factories.Utility.create()
    now = clock.get_now()
    for state, fee_wei in (("succeeded", 30), ("failed", 50)):
        quote = models.FeeQuote.objects.create(
            chain_id=31337,
            utility=utility,
            sender="0x" + "11" * 20,
            intent={},
            mode="stablecoin",
            fee_token="0x" + "22" * 20,
            fee_units=1,
            fee_wei=fee_wei,
            gas_limit=1,
            max_fee_per_gas_wei=1,
            max_priority_fee_per_gas_wei=1,
            gas_cost_wei=1,
            reason="Tests",
            created_at=now,
            expires_at=now + datetime.timedelta(minutes=2),
        )
        relayer_factories.make_operation(
            utility=utility,
            quote=quote,
            state=state,
            gas_cost_wei=20,
            settled_at=now,
            paymaster_and_data=b"\x01" * 52,
        )
    (today,) = report_gas.read_days(utility_ids=[utility.pk], days=1, now=now)
    # What failed has paid no fee, but its gas is spent.
    assert (today.operations, today.gas_wei, today.fees_wei, today.result_wei) == (2, 40, 30, -10)
