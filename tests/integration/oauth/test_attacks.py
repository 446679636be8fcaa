"""Attacks by name: each refused, and nothing moved."""

import datetime
import json
from typing import Any

import pytest
from django import test
from django.utils import timezone

from tests.factories import customers, wallets
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)


def nothing_issued() -> bool:
    return not (models.AccessToken.objects.exists() or models.RefreshToken.objects.exists())


def test_code_injection_with_another_verifier(app: flow.MobileApp) -> None:
    code = app.get_code()
    thief = flow.MobileApp(application=app.application, user=customers.User.create())
    answer = thief.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert nothing_issued()


def test_code_of_another_client(app: flow.MobileApp) -> None:
    code = app.get_code()
    thief = flow.MobileApp(application=wallets.Application.create(), user=None, verifier=app.verifier)
    assert thief.redeem(code).status_code == 400
    assert nothing_issued()


def test_pkce_downgrade_by_leaving_the_verifier_out(app: flow.MobileApp) -> None:
    answer = app.token(grant_type="authorization_code", code=app.get_code(), redirect_uri=app.redirect_uri)
    assert answer.status_code == 400
    assert nothing_issued()


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
    ],
)
def test_pkce_downgrade_at_the_authorization_endpoint(app: flow.MobileApp, changes: dict[str, Any]) -> None:
    answer = app.open_consent(flow.READING, **changes)
    assert answer.status_code == 302
    told = flow.parameters(answer)
    assert (told["error"], told["iss"]) == ("invalid_request", "http://127.0.0.1:8000")
    assert "oauth_consents" not in app.browser.session
    pushed = app.push(**app.query(**changes))
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_request")
    assert not models.PushedRequest.objects.exists()


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "com.openvpp.demo://callback/",
        "com.openvpp.demo://callback?x=1",
        "com.openvpp.demo://callback#x",
        "com.openvpp.demo://CALLBACK",
        "com.openvpp.demo://callback/../evil",
        "https://evil.example.com/callback",
        "http://127.0.0.1:5000/callback/",
        "http://127.0.0.1.evil.example.com/callback",
        "http://127.0.0.1@evil.example.com/callback",
        "http://localhost/callback",
        "http://127.0.0.1:99999/callback",
        "javascript:alert(1)",
        "",
    ],
)
def test_redirect_variants(app: flow.MobileApp, redirect_uri: str) -> None:
    for scope in (flow.READING, flow.SPENDING):
        answer = app.open_consent(scope, redirect_uri=redirect_uri)
        assert answer.status_code == 400
        assert "Location" not in answer
    assert not models.PushedRequest.objects.exists()


def test_loopback_port_may_vary(app: flow.MobileApp) -> None:
    app.redirect_uri = "http://127.0.0.1:51234/callback"
    assert app.redeem(app.get_code()).status_code == 200


def test_redeeming_for_another_redirect_uri(app: flow.MobileApp) -> None:
    code = app.get_code()
    app.redirect_uri = "http://127.0.0.1/callback"
    assert app.redeem(code).status_code == 400
    assert nothing_issued()


def test_mix_up_every_answer_names_the_issuer(app: flow.MobileApp) -> None:
    for answer in (
        app.answer(app.open_consent()),
        app.answer(app.open_consent(), "deny"),
        app.open_consent("openid usage:write"),
        app.open_consent(flow.READING, response_type="token"),
    ):
        assert flow.parameters(answer)["iss"] == "http://127.0.0.1:8000"


def test_token_in_query_or_body_is_nothing(app: flow.MobileApp) -> None:
    app.key = None  # so that nothing but where it stands is wrong with it
    app.application.allowed_scopes += " account:write"
    app.application.save()
    token = app.get_tokens("openid account:read account:write")["access_token"]
    assert flow.call("/api/v1/me/", token).status_code == 200
    assert test.Client().get(f"/api/v1/me/?access_token={token}").status_code == 401
    assert test.Client().get(f"/oauth/userinfo/?access_token={token}").status_code == 401
    everywhere = "/api/v1/me/sign-out-everywhere/"
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        body = json.dumps({"access_token": token}) if content_type.endswith("json") else f"access_token={token}"
        assert test.Client().post(everywhere, body, content_type=content_type).status_code == 401
    assert flow.call("/api/v1/me/", token).status_code == 200


def test_id_token_as_bearer(app: flow.MobileApp) -> None:
    tokens = app.get_tokens("openid account:read")
    for path in ("/api/v1/me/", "/oauth/userinfo/"):
        assert flow.call(path, tokens["id_token"]).status_code == 401


def test_code_replay_later_ends_tokens_and_grant(app: flow.MobileApp) -> None:
    code = app.get_code()
    tokens = app.redeem(code).json()
    models.Grant.objects.update(redeemed_at=timezone.now() - datetime.timedelta(seconds=11))
    assert app.redeem(code).status_code == 400
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert models.SessionKeyGrant.objects.get().state == "revoked"


def test_code_replay_without_the_verifier_ends_tokens_and_grant(app: flow.MobileApp) -> None:
    code = app.get_code()
    tokens = app.redeem(code).json()
    thief = flow.MobileApp(application=app.application, user=None)
    assert thief.redeem(code).status_code == 400
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert models.SessionKeyGrant.objects.get().state == "revoked"


def test_code_repeated_at_once_by_the_client_itself_leaves_its_tokens_alive(app: flow.MobileApp) -> None:
    code = app.get_code()
    tokens = app.redeem(code).json()
    assert app.redeem(code).status_code == 400
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 200


def test_refresh_replay_ends_the_family_and_the_grant(app: flow.MobileApp) -> None:
    first = app.get_tokens()
    second = app.refresh(first["refresh_token"]).json()
    used = models.RefreshToken.objects.filter(revoked__isnull=False)
    assert used.update(revoked=timezone.now() - datetime.timedelta(seconds=11)) == 1
    replay = app.refresh(first["refresh_token"])
    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    assert flow.call("/api/v1/me/", second["access_token"]).status_code == 401
    assert app.refresh(second["refresh_token"]).status_code == 400
    grant = models.SessionKeyGrant.objects.get()
    assert grant.state == "revoked"
    assert grant.key.disabled_at is not None
    assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()


def test_refresh_token_of_another_client(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    thief = flow.MobileApp(application=wallets.Application.create(), user=None)
    assert thief.refresh(tokens["refresh_token"]).status_code == 400
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 200


@pytest.mark.parametrize("scope", [flow.READING, flow.SPENDING])
def test_client_sent_approval_prompt_skips_nothing(app: flow.MobileApp, scope: str) -> None:
    app.get_tokens(scope)
    codes, grants = models.Grant.objects.count(), models.SessionKeyGrant.objects.count()
    answer = app.open_consent(scope, approval_prompt="auto")
    assert answer.status_code == 200
    assert flow.consent_id(answer)
    assert (models.Grant.objects.count(), models.SessionKeyGrant.objects.count()) == (codes, grants)


@pytest.mark.parametrize("signed_in", [True, False])
def test_prompt_none_never_grants(app: flow.MobileApp, *, signed_in: bool) -> None:
    if not signed_in:
        app.browser.logout()
    answer = app.open_consent(flow.READING, prompt="none")
    assert answer.status_code == 302
    assert flow.parameters(answer)["error"] in {"login_required", "consent_required"}
    spending = app.push(**app.query(prompt="none"))
    assert (spending.status_code, spending.json()["error"]) in {(400, "login_required"), (400, "consent_required")}
    assert not models.PushedRequest.objects.exists()
    assert not models.Grant.objects.exists()


def test_details_without_the_scope_to_spend_are_refused(app: flow.MobileApp) -> None:
    answer = app.open_consent(flow.READING, authorization_details='[{"type":"ovpp_session_key"}]')
    assert flow.parameters(answer)["error"] == "invalid_authorization_details"
    assert "oauth_consents" not in app.browser.session


def test_scope_beyond_the_application(app: flow.MobileApp) -> None:
    narrow = wallets.Application.create(utility=app.application.utility, allowed_scopes="openid bills:read")
    thief = flow.MobileApp(application=narrow, user=app.user)
    assert thief.open_consent("openid payments:write").json()["error"] == "invalid_scope"
    assert flow.parameters(thief.open_consent("openid wallet:read"))["error"] == "invalid_scope"


def test_nobody_registers_a_client(app: flow.MobileApp) -> None:
    for path in ("/oauth/applications/register/", "/oauth/applications/", "/oauth/register/", "/o/applications/"):
        assert app.browser.get(path).status_code == 404
        assert app.browser.post(path).status_code == 404


def test_deactivated_user_loses_access_refresh_and_code(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    code = app.get_code(flow.READING)
    app.user.is_active = False
    app.user.save()
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert app.redeem(code).status_code == 400


def test_deactivated_application_loses_everything(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    app.application.is_active = False
    app.application.save()
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 401
    assert app.open_consent().status_code == 401
    assert app.open_consent(flow.READING).status_code == 400


@pytest.mark.parametrize("name", ["session_key_grant", "token_family", "refresh_token_instance", "user", "client"])
def test_parameters_named_as_our_own_attributes_do_nothing(app: flow.MobileApp, name: str) -> None:
    other = wallets.SessionKeyGrant.create()
    tokens = app.redeem(app.get_code(flow.READING), **{name: str(other.pk)})
    assert tokens.status_code == 200
    assert models.AccessToken.objects.get().session_key_grant is None
    refreshed = app.refresh(tokens.json()["refresh_token"], **{name: str(other.pk)})
    assert refreshed.status_code == 200
    assert models.AccessToken.objects.get().session_key_grant is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"grant_type": "password", "username": "a", "password": "b"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"},
        {"grant_type": "implicit"},
        {"grant_type": "authorization_code"},
        {"grant_type": "authorization_code", "code": "\x00"},
        {"grant_type": "refresh_token"},
        {"grant_type": "refresh_token", "refresh_token": "\x00\ud83d\ude00".encode("utf-16", "surrogatepass")},
        {"grant_type": "client_credentials"},
        {"grant_type": "client_credentials", "client_id": "\x00"},
    ],
)
def test_token_endpoint_never_breaks(app: flow.MobileApp, body: dict[str, Any]) -> None:
    answer = app.token(**body)
    assert answer.status_code in {400, 401}
    assert answer["Content-Type"].startswith("application/json")
    assert "error" in answer.json()
    assert nothing_issued()


def test_characters_that_no_parameter_holds(app: flow.MobileApp) -> None:
    assert app.open_consent(client_id="\x00").status_code in {400, 401}
    assert app.open_consent(flow.READING, client_id="\x00").status_code == 400
    assert app.open_consent(scope="openid \x00").status_code in {302, 400}
    assert app.open_pushed("\x00", client_id="\x00").status_code == 400
    assert test.Client().post("/oauth/revoke_token/", {"client_id": "\x00", "token": "x"}).status_code in {400, 401}
    assert test.Client().post("/oauth/introspect/", {"client_id": "\x00", "token": "x"}).status_code == 401
    assert test.Client().get("/oauth/authorize/?client_id=%zz&response_type=code").status_code == 400


def test_session_fixation_the_session_changes_at_sign_in(app: flow.MobileApp) -> None:
    browser = test.Client()
    browser.get("/accounts/login/")
    session = browser.session
    session["planted"] = True
    session.save()
    planted = str(session.session_key)
    browser.cookies["sessionid"] = planted
    answer = browser.post("/accounts/login/", {"login": app.user.email, "password": "correct horse battery"})
    assert answer.status_code == 302
    assert browser.get("/accounts/devices/").status_code == 200
    assert browser.session.session_key != planted
    attacker = test.Client()
    attacker.cookies["sessionid"] = planted
    assert attacker.get("/accounts/devices/")["Location"].startswith("/accounts/login/")
