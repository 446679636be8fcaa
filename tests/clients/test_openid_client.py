"""`openid-client`, the certified Node.js client, unchanged: from discovery to revocation."""

import json
import pathlib
import subprocess
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = pathlib.Path(__file__).with_name("openid_client.mjs")
REDIRECT_URI = "http://127.0.0.1:51999/callback"
WITHIN_S = 60


def play(app: flow.MobileApp, issuer: str, scope: str, *details: str) -> dict[str, Any]:
    """Run the client, be the person in the browser, and return what the client saw."""
    command = ["node", str(SCRIPT), issuer, app.application.client_id, REDIRECT_URI, scope, *details]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        first = node.stdout.readline()
        assert first, node.communicate(timeout=WITHIN_S)[1]
        asked = urlsplit(json.loads(first)["authorize"])
        answer = app.answer(app.browser.get(f"{asked.path}?{asked.query}"))
        assert answer.status_code == 302, answer.content
        told, problems = node.communicate(json.dumps({"callback": answer["Location"]}) + "\n", timeout=WITHIN_S)
        assert node.returncode == 0, problems
    found: dict[str, Any] = json.loads(told)
    return found


def test_discovery_par_rar_pkce_dpop_refresh_and_revocation(
    app: flow.MobileApp, issuer: str, wallet: models.Wallet
) -> None:
    token = wallet.utility.tokens.get(symbol="USDX").address
    detail = {
        "type": "ovpp_session_key",
        "actions": ["pay_bills"],
        "tokens": [
            {
                "token": token,
                "limit_per_operation": "80000000",
                "limit_per_period": "120000000",
                "period_seconds": 2_592_000,
                "limit_total": "240000000",
            }
        ],
        "fee": {"mode": "utility"},
        "not_after": int(time.time()) + 60 * 86_400,
        "key": {"mode": "custodial"},
    }
    told = play(app, issuer, flow.SPENDING, json.dumps([detail]))
    assert (told["token_type"], told["refreshed_token_type"]) == ("dpop", "dpop")
    assert (told["me"], told["me_again"], told["after_revocation"]) == (app.user.email, 200, 401)
    assert (told["claims"]["iss"], told["claims"]["aud"]) == (issuer, app.application.client_id)
    (granted,) = told["authorization_details"]
    grant = models.SessionKeyGrant.objects.get()
    assert grant.authorization_details == [granted]
    assert granted["tokens"] == detail["tokens"]
    assert (granted["wallet"], granted["payee"]) == (wallet.address, wallet.utility.treasury_address)
    assert (granted["identifier"], granted["not_after"]) == (str(grant.pk), detail["not_after"])
    assert grant.limit_per_payment_units == 80_000_000
    assert (grant.state, grant.key.disabled_at is not None) == ("revoked", True)


def test_a_plain_client_without_leave_to_spend(app: flow.MobileApp, issuer: str) -> None:
    told = play(app, issuer, flow.READING)
    assert (told["token_type"], told["refreshed_token_type"]) == ("bearer", "bearer")
    assert (told["me"], told["me_again"], told["after_revocation"]) == (app.user.email, 200, 401)
    assert told["authorization_details"] is None
    assert not models.SessionKeyGrant.objects.exists()
