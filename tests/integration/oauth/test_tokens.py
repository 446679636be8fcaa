"""Codes for tokens, tokens for tokens, and everything that ends with them."""

import base64
import datetime
import json

import pytest
from django import test
from django.conf import settings
from django.utils import timezone

from openvpp.core import api
from openvpp.core import models as core_models
from tests.factories import customers, wallets
from tests.integration.oauth import flow
from wallets import models
from wallets.oauth import endpoints

pytestmark = pytest.mark.django_db(transaction=True)


def test_code_access_and_refresh_token_point_to_one_grant_and_are_stored_hashed(app: flow.MobileApp) -> None:
    code = app.get_code()
    tokens = app.redeem(code).json()
    grant = models.SessionKeyGrant.objects.get()
    access, refresh, row = (
        models.AccessToken.objects.get(),
        models.RefreshToken.objects.get(),
        models.Grant.objects.get(),
    )
    assert access.session_key_grant == refresh.session_key_grant == row.session_key_grant == grant
    assert (access.token, refresh.token) == ("", "")
    assert code not in row.code
    assert row.redeemed_at is not None
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("DPoP", 600, flow.SPENDING)
    assert flow.call("/api/v1/me/", tokens["access_token"]).json()["email"] == app.user.email


def test_id_token_says_who_and_is_signed_with_the_published_key(app: flow.MobileApp) -> None:
    tokens = app.get_tokens("openid email account:read")
    header, claims, _ = tokens["id_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
    header = json.loads(base64.urlsafe_b64decode(header + "=="))
    assert claims["iss"] == settings.ISSUER
    assert claims["aud"] == app.application.client_id
    assert (claims["sub"], claims["email"]) == (str(app.user.pk), app.user.email)
    assert "name" not in claims
    assert header["kid"] == test.Client().get("/.well-known/jwks.json").json()["keys"][0]["kid"]
    who = flow.call("/oauth/userinfo/", tokens["access_token"]).json()
    assert who == {"sub": str(app.user.pk), "email": app.user.email}


def test_refresh_rotates_keeps_the_grant_and_never_widens(app: flow.MobileApp) -> None:
    first = app.get_tokens()
    answer = app.refresh(first["refresh_token"])
    assert answer.status_code == 200
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == flow.SPENDING
    assert models.SessionKeyGrant.objects.count() == 1
    assert models.AccessToken.objects.get().session_key_grant == models.SessionKeyGrant.objects.get()
    assert flow.call("/api/v1/me/", first["access_token"]).status_code == 401
    assert flow.call("/api/v1/me/", second["access_token"]).status_code == 200
    wider = app.refresh(second["refresh_token"], scope=f"{flow.SPENDING} devices:write")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_tokens_key_and_grant_in_one_transaction(app: flow.MobileApp, which: str) -> None:
    tokens = app.get_tokens()
    grant = models.SessionKeyGrant.objects.get()
    models.Operation.objects.create(
        wallet=grant.wallet,
        grant=grant,
        kind=models.Operation.Kind.BILL_PAYMENT,
        reference="0x" + "11" * 16,
        intent={},
        state=models.Operation.State.SUCCEEDED,
        created_at=timezone.now(),
        updated_at=timezone.now(),
    )
    assert app.revoke(tokens[which]).status_code == 200
    grant.refresh_from_db()
    assert grant.state == "revoking"
    assert grant.key.disabled_at is not None
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    job = core_models.Job.objects.get(name="wallets.revoke_session")
    assert job.arguments == {"grant_id": str(grant.pk)}


def test_a_grant_that_never_reached_the_chain_is_revoked_at_once(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    app.revoke(tokens["refresh_token"])
    grant = models.SessionKeyGrant.objects.get()
    assert grant.state == "revoked"
    assert grant.key.disabled_at is not None
    assert not core_models.Job.objects.filter(name="wallets.revoke_session").exists()


def test_another_client_cannot_revoke(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    other = flow.MobileApp(application=wallets.Application.create(), user=None)
    assert other.revoke(tokens["refresh_token"]).status_code == 200
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 200
    assert models.SessionKeyGrant.objects.get().state == "pending"


def test_an_expired_grant_takes_its_tokens_along(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    now = timezone.now()
    models.SessionKeyGrant.objects.update(starts_at=now - datetime.timedelta(days=2), ends_at=now)
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400


def test_client_credentials_get_the_systems_own_scopes_and_no_person() -> None:
    application = wallets.SystemApplication.create()
    system = flow.MobileApp(application=application, user=None, secret="very secret")
    answer = system.token(grant_type="client_credentials", scope="bills:write")
    assert (answer.status_code, answer.json()["scope"]) == (200, "bills:write")
    assert "refresh_token" not in answer.json()
    token = models.AccessToken.objects.get()
    assert (token.user_id, token.application.utility_id) == (None, application.utility_id)
    assert system.token(grant_type="client_credentials", scope="bills:read").json()["error"] == "invalid_scope"
    wrong = flow.MobileApp(application=application, user=None, secret="wrong")
    assert wrong.token(grant_type="client_credentials").status_code == 401


def test_introspection_answers_a_client_about_its_own_tokens_only(app: flow.MobileApp) -> None:
    mine = wallets.ConfidentialApplication.create(utility=app.application.utility)
    other = wallets.ConfidentialApplication.create(utility=app.application.utility)
    token = wallets.AccessToken.create(application=mine, user=customers.User.create(), scope="bills:read")

    def introspect(client: models.Application, secret: str = "very secret") -> tuple[int, dict[str, object]]:
        body = {"client_id": client.client_id, "client_secret": secret, "token": token.token}
        answer = test.Client().post("/oauth/introspect/", body)
        return answer.status_code, answer.json()

    status, about = introspect(mine)
    assert (status, about["active"], about["scope"], about["sub"]) == (200, True, "bills:read", str(token.user_id))
    assert introspect(other) == (200, {"active": False})
    assert introspect(mine, "wrong")[0] == 401
    assert introspect(app.application, "")[0] == 401
    token.user.is_active = False
    token.user.save()
    assert introspect(mine) == (200, {"active": False})


def test_metadata_tells_the_truth() -> None:
    client = test.Client()
    told = client.get("/.well-known/oauth-authorization-server").json()
    assert told == client.get("/.well-known/openid-configuration").json()
    assert told["issuer"] == settings.ISSUER
    assert told["response_types_supported"] == ["code"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials"]
    assert "registration_endpoint" not in told
    for name, url in told.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            path = url.removeprefix(settings.ISSUER)
            assert client.get(path).status_code in {200, 302, 400, 401, 405}, name


def test_a_refused_code_says_what_to_do(app: flow.MobileApp) -> None:
    refused = app.redeem("never-issued")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert refused.json()["error_description"] == endpoints.WHY["invalid_grant"]
    assert refused["Cache-Control"] == "no-store"


def test_a_call_without_a_token_is_told_what_to_send() -> None:
    refused = test.Client().get("/api/v1/me/")
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    assert refused.json()["detail"] == api.UNSIGNED
