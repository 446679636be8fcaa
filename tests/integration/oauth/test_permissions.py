"""ERC-7715: a permission that is asked for leads to the consent page, and is told once it is granted."""

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django import test
from django.conf import settings

from tests.factories import wallets
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400
DOLLAR = 1_000_000
NEWER, OLDER = "wallet_requestExecutionPermissions", "wallet_grantPermissions"


@pytest.fixture
def expiry() -> int:
    return int(time.time()) + 60 * DAY


@pytest.fixture
def periodic(wallet: models.Wallet, expiry: int) -> dict[str, Any]:
    """120 USDX every ten days, in the standard's newer words."""
    return {
        "chainId": hex(wallet.chain_id),
        "from": wallet.address,
        "permission": {
            "type": "erc20-token-periodic",
            "isAdjustmentAllowed": False,
            "data": {
                "tokenAddress": wallet.utility.tokens.get(symbol="USDX").address,
                "periodAmount": hex(120 * DOLLAR),
                "periodDuration": 10 * DAY,
                "justification": "Your bills.",
            },
        },
        "rules": [{"type": "expiry", "data": {"timestamp": expiry}}],
    }


@pytest.fixture
def token(app: flow.MobileApp) -> str:
    """What the app holds before: leave to read."""
    return str(app.get_tokens(flow.READING)["access_token"])


def ask(wallet: models.Wallet, token: str, method: str, *given: object) -> dict[str, Any]:
    path = f"/rpc/v1/{wallet.chain_id}"
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(given)}
    headers = flow.authorization("POST", path, token)
    answer = test.Client().post(path, json.dumps(body), "application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def agree(app: flow.MobileApp, told: dict[str, Any]) -> dict[str, Any]:
    """Go where the answer says, agree, and redeem the code with the verifier that it told."""
    assert told["consentUri"].startswith(f"{settings.ISSUER}/oauth/authorize/?")
    query = parse_qs(urlsplit(told["consentUri"]).query)
    page = app.open_pushed(query["request_uri"][0])
    assert "at most $120.00" in page.content.decode()
    answer = flow.parameters(app.answer(page))
    assert answer["state"] == told["state"]
    app.verifier = told["codeVerifier"]
    redeemed = app.redeem(answer["code"])
    assert redeemed.status_code == 200, redeemed.content
    found: dict[str, Any] = redeemed.json()
    return found


def test_a_permission_is_granted_on_the_consent_page_and_told_as_it_was_asked(
    app: flow.MobileApp, wallet: models.Wallet, token: str, periodic: dict[str, Any], expiry: int
) -> None:
    models.Wallet.objects.update(deployed_at=wallet.created_at)
    refused = ask(wallet, token, NEWER, periodic)["error"]
    assert (refused["code"], refused["data"]["redirectUri"]) == (4100, app.redirect_uri)
    assert not models.SessionKeyGrant.objects.exists()

    tokens = agree(app, refused["data"])

    grant = models.SessionKeyGrant.objects.get()
    assert (grant.limit_per_period_units, grant.period_seconds) == (120 * DOLLAR, 10 * DAY)
    assert (grant.limit_total_units, int(grant.ends_at.timestamp())) == (6 * 120 * DOLLAR, expiry)
    expected = periodic | {"context": "0x" + grant.pk.hex, "dependencies": []}
    assert ask(wallet, tokens["access_token"], NEWER, periodic)["result"] == [expected]
    assert ask(wallet, token, NEWER, periodic)["result"] == [expected]
    (told,) = ask(wallet, token, "wallet_getGrantedExecutionPermissions")["result"]
    del expected["permission"]["data"]["justification"]
    assert told == expected
    supported = ask(wallet, token, "wallet_getSupportedExecutionPermissions")["result"]
    assert supported["erc20-token-periodic"] == {"chainIds": [hex(wallet.chain_id)], "ruleTypes": ["expiry"]}
    revoking, context = "wallet_revokeExecutionPermission", {"permissionContext": expected["context"]}
    assert ask(wallet, token, revoking, context)["error"]["code"] == 4100
    assert ask(wallet, tokens["access_token"], revoking, {"permissionContext": "0x"})["error"]["code"] == -32602
    assert ask(wallet, tokens["access_token"], revoking, context)["result"] == {}
    grant.refresh_from_db()
    assert grant.state not in models.SessionKeyGrant.LIVE_STATES
    assert ask(wallet, token, NEWER, periodic)["error"]["code"] == 4100
    assert ask(wallet, token, "wallet_getGrantedExecutionPermissions")["result"] == []


def test_the_older_words_that_viem_sends_are_understood(
    app: flow.MobileApp, wallet: models.Wallet, token: str, periodic: dict[str, Any], expiry: int
) -> None:
    models.Wallet.objects.update(deployed_at=wallet.created_at)
    address = periodic["permission"]["data"]["tokenAddress"]
    policy = {"type": "token-allowance", "data": {"allowance": hex(120 * DOLLAR)}}
    permission = {
        "type": "erc20-token-transfer",
        "data": {"address": address, "ticker": "USDX"},
        "policies": [policy],
        "required": True,
    }
    asked = {"expiry": expiry, "permissions": [permission], "signer": {"type": "wallet"}}
    agree(app, ask(wallet, token, OLDER, asked)["error"]["data"])
    grant = models.SessionKeyGrant.objects.get()
    assert (grant.limit_per_period_units, grant.limit_total_units) == (120 * DOLLAR, 120 * DOLLAR)
    assert ask(wallet, token, OLDER, asked)["result"] == {
        "expiry": expiry,
        "grantedPermissions": [permission],
        "permissionsContext": "0x" + grant.pk.hex,
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"chainId": "0x1"}, 5710),
        ({"from": "0x" + "99" * 20}, 4100),
        ({"to": "0x" + "99" * 20}, -32602),
        ({"signer": {"type": "account", "data": {"address": "0x" + "99" * 20}}}, -32602),
        ({"rules": []}, -32602),
        ({"rules": [{"type": "payee", "data": {}}]}, -32602),
        ({"expiry": 2_000_000_000}, -32602),
        ({"permission": {"type": "native-token-transfer", "data": {"allowance": "0x1"}}}, -32602),
        ({"policies": [{"type": "gas-limit", "data": {"limit": "0x1"}}]}, -32602),
        ({"permissions": []}, -32602),
        ({"permissions": {}}, -32602),
        ({"permissions": [5]}, -32602),
        ({"permission": {"type": ["erc20-token-periodic"], "data": {}}}, -32602),
        ({"permission": {"type": "erc20-token-periodic", "data": []}}, -32602),
        ({"permission": {"type": "erc20-token-transfer", "data": {}, "policies": 5}}, -32602),
        ({"policies": {"type": "token-allowance"}}, -32602),
        ({"policies": [{"type": "token-allowance", "data": "0x1"}]}, -32602),
        ({"rules": {"type": "expiry"}}, -32602),
        ({"rules": [{"type": "expiry", "data": 5}]}, -32602),
        ({"rules": [{"type": "expiry", "data": {"timestamp": 10**30}}]}, -32602),
        ({"signer": "wallet"}, -32602),
        ({"chainId": {}}, -32602),
        ({"from": 5}, -32602),
    ],
)
def test_what_no_permission_here_allows_is_refused(
    wallet: models.Wallet, token: str, periodic: dict[str, Any], change: dict[str, Any], code: int
) -> None:
    assert ask(wallet, token, NEWER, periodic | change)["error"]["code"] == code
    assert not models.PushedRequest.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tokenAddress", "0x" + "98" * 20),
        ("periodAmount", hex(10**12)),
        ("periodAmount", "0x0"),
        ("periodAmount", 5),
        ("periodDuration", 3600),
        ("periodDuration", "864000"),
        ("startTime", 5),
    ],
)
def test_what_the_utility_does_not_allow_is_refused(
    wallet: models.Wallet, token: str, periodic: dict[str, Any], name: str, value: object
) -> None:
    periodic["permission"]["data"][name] = value
    assert ask(wallet, token, NEWER, periodic)["error"]["code"] == -32602
    assert not models.PushedRequest.objects.exists()


def test_callers(app: flow.MobileApp, wallet: models.Wallet, token: str, periodic: dict[str, Any]) -> None:
    path = f"/rpc/v1/{wallet.chain_id}"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": NEWER, "params": [periodic]})
    assert test.Client().post(path, body, "application/json").status_code == 401
    headers = {"Authorization": f"DPoP {token}x"}
    assert test.Client().post(path, body, "application/json", headers=headers).status_code == 401
    stranger = wallets.Wallet.create(customer__utility=wallet.utility)
    other = flow.MobileApp(application=app.application, user=stranger.customer.user)
    others = str(other.get_tokens(flow.READING)["access_token"])
    assert ask(wallet, others, NEWER, periodic)["error"]["code"] == 4100
    assert not models.PushedRequest.objects.exists()
    assert ask(wallet, token, NEWER, periodic)["error"]["data"]["expiresIn"] == 90
    assert models.PushedRequest.objects.count() == 1
