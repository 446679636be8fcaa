"""Pushed requests: named once, for one client and one browser, for ninety seconds."""

import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django import test
from django.utils import timezone
from jwcrypto import jwk

from tests.factories import wallets
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)


def push(app: flow.MobileApp, **changes: Any) -> str:
    answer = app.push(**app.query(**changes))
    assert answer.status_code == 201, answer.content
    return str(answer.json()["request_uri"])


def test_a_pushed_request_is_named_unguessably_and_kept_hashed(app: flow.MobileApp) -> None:
    answer = app.push(**app.query())
    told = answer.json()
    assert (answer.status_code, told["expires_in"], answer["Cache-Control"]) == (201, 90, "no-store")
    assert told["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    row = models.PushedRequest.objects.get()
    assert told["request_uri"] not in str(vars(row))
    assert row.dpop_jkt == flow.KEY.thumbprint()
    assert row.expires_at - timezone.now() <= datetime.timedelta(seconds=90)


def test_leave_to_spend_is_asked_for_by_a_pushed_request_alone(app: flow.MobileApp) -> None:
    answer = app.browser.get(f"/oauth/authorize/?{urlencode(app.query(dpop_jkt=flow.KEY.thumbprint()))}")
    told = flow.parameters(answer)
    assert (told["error"], told["iss"], told["state"]) == ("invalid_request", "http://127.0.0.1:8000", "xyz")
    assert "oauth_consents" not in app.browser.session


def test_par_reuse_by_another_browser_or_after_the_answer_is_refused(app: flow.MobileApp) -> None:
    request_uri = push(app)
    page = app.open_pushed(request_uri)
    other = flow.MobileApp(application=app.application, user=app.user)
    assert other.open_pushed(request_uri).status_code == 400
    again = app.open_pushed(request_uri)
    assert again.status_code == 200
    assert app.answer(page).status_code == 302
    assert app.answer(again).status_code == 400
    assert app.open_pushed(request_uri).status_code == 400
    assert models.Grant.objects.count() == 1


def test_par_of_another_client_is_refused(app: flow.MobileApp) -> None:
    request_uri = push(app)
    thief = flow.MobileApp(application=wallets.Application.create(utility=app.application.utility), user=app.user)
    assert thief.open_pushed(request_uri).status_code == 400
    assert app.open_pushed(request_uri, client_id=thief.application.client_id).status_code == 400
    assert app.open_pushed(request_uri).status_code == 200


def test_a_pushed_request_is_too_old_after_ninety_seconds(app: flow.MobileApp) -> None:
    request_uri = push(app)
    models.PushedRequest.objects.update(expires_at=timezone.now())
    assert app.open_pushed(request_uri).status_code == 400


def test_signing_in_may_take_longer_than_the_request_lives(app: flow.MobileApp) -> None:
    request_uri = push(app)
    stranger = flow.MobileApp(application=app.application, user=None)
    to_sign_in = stranger.open_pushed(request_uri)
    assert to_sign_in.status_code == 302
    models.PushedRequest.objects.update(expires_at=timezone.now())
    back = stranger.browser.post(to_sign_in["Location"], {"login": app.user.email, "password": "correct horse battery"})
    page = stranger.browser.get(back["Location"])
    assert page.status_code == 200
    assert "at most $500.00" in page.content.decode()


def test_what_stands_beside_a_request_uri_changes_nothing(app: flow.MobileApp) -> None:
    beside = {"client_id": app.application.client_id, "request_uri": push(app), "scope": "openid", "state": "forged"}
    page = app.browser.get(f"/oauth/authorize/?{urlencode(beside)}&redirect_uri=https://evil.example.com/")
    told = flow.parameters(app.answer(page))
    assert told["state"] == "xyz"
    assert models.Grant.objects.get().scope == flow.SPENDING


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"request": "e30.e30."}, "invalid_request"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"scope": "openid usage:write"}, "invalid_scope"),
        ({"dpop_jkt": "A" * 43}, "invalid_dpop_proof"),
        ({"state": "x" * 20_000}, "invalid_request"),
        ({"resource": "https://other.example.com"}, "invalid_target"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"not_known_here": "\x00"}, "invalid_request"),
    ],
)
def test_a_request_that_would_be_refused_later_is_refused_now(
    app: flow.MobileApp, changes: dict[str, str], error: str
) -> None:
    refused = app.push(**app.query(**changes))
    assert refused.status_code in {400, 413}
    assert refused.json()["error"] == error
    assert not models.PushedRequest.objects.exists()


def test_a_confidential_client_proves_itself_and_its_secret_is_not_kept(app: flow.MobileApp) -> None:
    web = wallets.ConfidentialApplication.create(utility=app.application.utility)
    mine = flow.MobileApp(
        application=web, user=app.user, redirect_uri="https://app.example.com/callback", secret="very secret"
    )
    push(mine)
    assert "very secret" not in str(models.PushedRequest.objects.get().parameters)
    for secret in ("wrong", ""):
        mine.secret = secret
        refused = mine.push(**mine.query())
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert models.PushedRequest.objects.count() == 1


def test_a_code_is_bound_to_the_key_that_pushed_its_request(app: flow.MobileApp) -> None:
    app.get_code()
    assert models.Grant.objects.get().dpop_jkt == flow.KEY.thumbprint()
    thief = flow.MobileApp(application=app.application, user=None, key=jwk.JWK.generate(kty="EC", crv="P-256"))
    assert thief.push(**thief.query(dpop_jkt=flow.KEY.thumbprint())).json()["error"] == "invalid_dpop_proof"


def test_only_post_is_answered() -> None:
    assert test.Client().get("/oauth/par/").status_code == 405
