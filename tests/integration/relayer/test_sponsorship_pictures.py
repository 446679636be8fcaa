"""The page of gas in a real browser, on a phone and on a desk: nothing sticks out, axe finds nothing in it.

With `UPDATE_IMAGES=1` the pictures in docs are taken anew.
"""

import datetime
import os
import pathlib
from typing import Any

import pytest
from django import test
from django.urls import reverse
from pytest_django import live_server_helper

from customers import models as customer_models
from openvpp.core import clock
from relayer import models
from tests.clients import chromium
from tests.factories import customers
from tests.factories import relayer as rows

pytestmark = pytest.mark.skipif(
    chromium.BINARY is None, reason="no chromium in PATH (Debian and Ubuntu: `apt install chromium`)"
)
IMAGES = pathlib.Path(__file__).resolve().parents[3] / "docs" / "images"
SIZES = {"phone": chromium.PHONE, "desktop": chromium.DESKTOP}
COIN = 10**18
NOBODY, WALLET = "0x" + "00" * 20, "0x52908400098527886E0F7030069857D2E4169EE7"


def budget(utility: customer_models.Utility, name: str, **terms: Any) -> models.GasBudget:
    now = clock.get_now()
    used = {key: terms.pop(key) for key in list(terms) if key.startswith(("settled", "reserved"))}
    wallet = terms.pop("counted_for", NOBODY)
    policy = models.SponsorshipPolicy.objects.create(
        utility=utility, name=name, starts_at=now - datetime.timedelta(days=60), made_at=now, **terms
    )
    window_starts = {"day": now.replace(hour=0), "month": now.replace(day=1, hour=0), "whole": policy.starts_at}
    starts_at = window_starts[policy.period]
    if policy.period != "whole":
        starts_at = starts_at.replace(minute=0, second=0, microsecond=0)
    return models.GasBudget.objects.create(
        policy=policy,
        starts_at=starts_at,
        wallet=wallet,
        limit_wei=policy.limit_wei,
        limit_count=policy.limit_count,
        **used,
    )


def fill(utility: customer_models.Utility) -> None:
    """Leave a month of payments, and four budgets in different states."""
    now = clock.get_now()
    bills = budget(
        utility,
        "Bill payments",
        period="month",
        method="bill_payment",
        limit_wei=COIN // 4,
        settled_wei=COIN // 5,
        settled_count=2_140,
        reserved_wei=COIN // 100,
        reserved_count=31,
    )
    budget(
        utility,
        "Summer peak",
        period="whole",
        program="7d3f2a4e-1111-4c1c-9a51-2b0d3f6f0c11",
        limit_wei=COIN,
        settled_wei=COIN // 9,
        settled_count=420,
    )
    budget(
        utility,
        "Three a day for each wallet",
        period="day",
        is_each=True,
        counted_for=WALLET,
        limit_count=3,
        settled_count=1,
    )
    budget(
        utility,
        "Installers' demonstration",
        period="whole",
        wallet=WALLET,
        limit_count=50,
        settled_count=50,
        settled_wei=COIN // 200,
    )
    for number in range(30):
        at = now - datetime.timedelta(days=number)
        fee_wei = (14 + (number * 7) % 9) * COIN // 4_000
        quote = models.FeeQuote.objects.create(
            chain_id=31337,
            utility=utility,
            sender=WALLET,
            intent={},
            mode="stablecoin",
            fee_token=WALLET,
            fee_units=1,
            fee_wei=fee_wei,
            gas_limit=1,
            max_fee_per_gas_wei=1,
            max_priority_fee_per_gas_wei=1,
            gas_cost_wei=1,
            reason="Pictures",
            created_at=at,
            expires_at=at + datetime.timedelta(minutes=2),
        )
        rows.make_operation(
            utility=utility,
            quote=quote,
            state="succeeded",
            created_at=at,
            settled_at=at,
            gas_cost_wei=(12 + (number * 5) % 11) * COIN // 4_000,
            paymaster_and_data=b"\x01" * 52,
        )
        models.Sponsorship.objects.create(
            utility=utility,
            chain_id=31337,
            payer="utility",
            reason="The utility pays, within “Bill payments”.",
            sender=WALLET,
            user_operation_hash=rows.hash_(),
            budgets=[bills.pk],
            reserved_wei=COIN // 100,
            cost_wei=COIN // 140,
            state="settled",
            valid_until=at,
            made_at=at,
            ended_at=at,
        )


@pytest.mark.django_db(transaction=True)
def test_the_page_of_gas_reads_on_a_phone_and_on_a_desk(
    live_server: live_server_helper.LiveServer, tmp_path: pathlib.Path
) -> None:
    utility: Any = customers.Utility.create(name="Harbor Light & Power")
    fill(utility)
    manager = customers.User.create(is_staff=True, email="gas@harbor.example")
    customer_models.StaffRole.objects.create(user=manager, utility=utility, role="administrator")
    browser = test.Client()
    browser.force_login(manager, backend="allauth.account.auth_backends.AuthenticationBackend")
    cookies = {"sessionid": browser.cookies["sessionid"].value}
    found: list[tuple[str, str]] = []
    with chromium.tab(tmp_path) as tab:
        for size_name, size in SIZES.items():
            path = reverse("admin:relayer_sponsorshippolicy_changelist")
            tab.open(f"{live_server.url}{path}", size=size, cookies=cookies)
            assert tab.evaluate("document.querySelectorAll('.gas-budget').length") == 4
            assert tab.evaluate("document.querySelectorAll('.gas-plot rect').length") == 60
            assert tab.evaluate(f"document.documentElement.scrollWidth <= {size[0]}"), size_name
            found += [(size_name, violation) for violation in tab.violations(within=".desk")]
            if os.environ.get("UPDATE_IMAGES") == "1":
                (IMAGES / f"gas-{size_name}.png").write_bytes(tab.picture())
    assert found == []
