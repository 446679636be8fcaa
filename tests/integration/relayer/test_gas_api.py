"""Gas budgets and days over REST, for staff."""

import datetime
from typing import Any

import pytest
from django import test

from customers import models as customer_models
from openvpp.core import clock
from relayer import models
from tests.factories import customers, wallets

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESSES = ("/api/v1/gas/budgets/", "/api/v1/gas/days/?days=7")


def get(address: str, user: customer_models.User, *, utility: Any, scope: str = "policies:read") -> Any:
    application = wallets.Application.create(utility=utility, allowed_scopes=scope)
    token = wallets.AccessToken.create(application=application, user=user, scope=scope)
    return test.Client().get(address, headers=wallets.bearer(token=token))


@pytest.fixture
def utility() -> Any:
    found = customers.Utility.create()
    now = clock.get_now()
    policy = models.SponsorshipPolicy.objects.create(
        utility=found,
        name="Bill payments",
        method="bill_payment",
        period="whole",
        limit_wei=1_000,
        starts_at=now - datetime.timedelta(days=7),
        made_at=now,
    )
    budget = models.GasBudget.objects.create(
        policy=policy, starts_at=policy.starts_at, wallet="0x" + "00" * 20, limit_wei=1_000, settled_wei=700
    )
    models.Sponsorship.objects.create(
        utility=found,
        chain_id=31337,
        payer="utility",
        reason="Tests",
        sender="0x" + "11" * 20,
        budgets=[budget.pk],
        reserved_wei=700,
        cost_wei=700,
        state="settled",
        valid_until=now,
        made_at=now,
        ended_at=now,
    )
    return found


def test_budgets_and_days_as_the_page_shows_them(utility: Any) -> None:
    manager = customers.StaffRole.create(utility=utility, role="program_manager").user
    (budget,) = get(ADDRESSES[0], manager, utility=utility).json()
    assert (budget["name"], budget["left_wei"], budget["left_count"]) == ("Bill payments", "300", None)
    assert (budget["wei_per_day"], budget["program"], budget["ends_at"]) == ("100", None, None)
    until = datetime.datetime.fromisoformat(budget["lasts_until"]) - clock.get_now()
    assert abs(until - datetime.timedelta(days=3)) < datetime.timedelta(minutes=2)
    days = get(ADDRESSES[1], manager, utility=utility).json()
    assert len(days) == 7
    today = clock.get_now().date().isoformat()
    assert days[-1] == {"day": today, "operations": 1, "gas_wei": "700", "fees_wei": "0", "result_wei": "-700"}
    assert get("/api/v1/gas/days/?days=0", manager, utility=utility).status_code == 400


@pytest.mark.parametrize("address", ADDRESSES)
def test_four_callers(utility: Any, address: str) -> None:
    manager = customers.StaffRole.create(utility=utility, role="program_manager").user
    csr = customers.StaffRole.create(utility=utility, role="csr").user
    other = customers.StaffRole.create(role="administrator").user
    assert test.Client().get(address).status_code == 401
    assert get(address, manager, utility=utility, scope="wallet:read").status_code == 403
    assert get(address, csr, utility=utility).status_code == 403
    assert get(address, customers.User.create(), utility=utility).status_code == 403
    foreign = get(address, other, utility=utility).json()
    assert foreign == [] or {day["gas_wei"] for day in foreign} == {"0"}
    assert get(address, manager, utility=utility).status_code == 200
