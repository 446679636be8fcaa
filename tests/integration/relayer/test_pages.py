"""The relayer's pages in a real browser, on a phone and on a desk: nothing sticks out, axe finds nothing in them.

With `UPDATE_IMAGES=1` the pictures in docs are taken anew.
"""

import datetime
import os
import pathlib

import pytest
from django import test
from django.urls import reverse
from pytest_django import live_server_helper

from customers import models as customer_models
from openvpp.core import clock
from relayer import models
from relayer.usecases import count_up, drain_key, pause_utility
from tests.clients import chromium
from tests.factories import customers
from tests.factories import relayer as rows
from tests.integration.relayer import conftest

pytestmark = pytest.mark.skipif(
    chromium.BINARY is None, reason="no chromium in PATH (Debian and Ubuntu: `apt install chromium`)"
)
IMAGES = pathlib.Path(__file__).resolve().parents[3] / "docs" / "images"
PICTURES = {"relayer-operation-desktop", "relayer-operations-desktop", "relayer-status-desktop", "relayer-status-phone"}
SIZES = {"phone": chromium.PHONE, "desktop": chromium.DESKTOP}


def fill(relayer: conftest.Relayer, by: customer_models.User) -> tuple[models.UserOperation, models.UserOperation]:
    """Leave one operation final, one queued, and something of everything else; return both."""
    now, utility = clock.get_now(), relayer.utility
    paid = relayer.pay(relayer.wallet())
    relayer.finish()
    waiting = rows.make_operation(utility=utility, leased_until=now + datetime.timedelta(minutes=1), attempts=3)
    for minutes in range(12):
        rows.make_operation(
            utility=utility,
            state="failed" if minutes % 5 == 0 else "succeeded",
            failure="ERC20InsufficientBalance" if minutes % 5 == 0 else "",
            gas_cost_wei=10**14,
            created_at=now - datetime.timedelta(minutes=minutes),
        )
    key = rows.make_key(leased_by="relay-0f3a", leased_until=now + datetime.timedelta(minutes=9))
    rows.make_operation(utility=utility, state="bundled", bundle=rows.make_bundle(key=key, nonce=41))
    drain_key.drain(key_id=key.pk, by=by, reason="Rotation of November", now=now)
    other = customers.Utility.create(name="Harbor Light & Power")
    pause_utility.pause(utility_id=other.pk, by=by, reason="Its application's key was found in a repository", now=now)
    models.Balance.objects.create(
        chain_id=31337, kind="budget", name="tests", wei=10**18, limit_wei=10**17, spent_wei=4 * 10**16, read_at=now
    )
    for number, each in enumerate(models.RelayerKey.objects.all()):
        models.Balance.objects.create(
            chain_id=31337, kind="key", name=str(each.address), wei=(7 - number) * 10**17, read_at=now
        )
    models.Balance.objects.create(chain_id=31337, kind="deposit", name="paymaster", wei=3 * 10**18, read_at=now)
    models.RecentCount.objects.create(name=count_up.REFUSED, label="-32504", minute=now, count=3)
    return paid, waiting


@pytest.mark.django_db(transaction=True)
def test_axe_finds_no_violation_in_the_relayers_pages(
    relayer: conftest.Relayer, live_server: live_server_helper.LiveServer, tmp_path: pathlib.Path
) -> None:
    operator = customers.User.create(is_staff=True, is_superuser=True, email="operator@example.com")
    paid, waiting = fill(relayer, operator)
    browser = test.Client()
    browser.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
    cookies = {"sessionid": browser.cookies["sessionid"].value}
    operation = reverse("admin:relayer_useroperation_change", args=[paid.hash])
    pages = [
        ("relayer-operation", f"{operation}?trace=1"),
        ("relayer-operations", reverse("admin:relayer_useroperation_changelist")),
        ("relayer-status", reverse("admin:relayer_status")),
        ("relayer-drop", reverse("admin:relayer_operation_act", args=[waiting.hash, "drop"])),
    ]
    found: list[tuple[str, str, str]] = []
    with chromium.tab(tmp_path) as tab:
        for name, path in pages:
            for size_name, size in SIZES.items():
                tab.open(f"{live_server.url}{path}", size=size, cookies=cookies)
                assert tab.evaluate("document.querySelector('.desk h1').innerText")
                assert tab.evaluate(f"document.documentElement.scrollWidth <= {size[0]}"), (name, size_name)
                found += [(name, size_name, violation) for violation in tab.violations(within=".desk")]
                if os.environ.get("UPDATE_IMAGES") == "1" and f"{name}-{size_name}" in PICTURES:
                    (IMAGES / f"{name}-{size_name}.png").write_bytes(tab.picture())
    assert found == []
