"""Signing out everywhere through the API: four callers, and what ends."""

import pytest
from django import test

from tests.factories import customers, wallets
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/me/sign-out-everywhere/"


def test_nobody_and_the_wrong_scope_put_nobody_out(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    reading = wallets.AccessToken.create(user=app.user, scope="account:read")
    assert test.Client().post(PATH).status_code == 401
    assert test.Client().post(PATH, headers=wallets.bearer(token=reading)).status_code == 403
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 200
    assert models.SessionKeyGrant.objects.get().state == "pending"


def test_every_session_token_and_permission_of_the_person_ends_and_nobody_elses(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    other = flow.MobileApp(application=app.application, user=customers.User.create())
    others = other.redeem(other.get_code(flow.READING)).json()
    mine = wallets.AccessToken.create(user=app.user, scope="account:write")
    assert test.Client().post(PATH, headers=wallets.bearer(token=mine)).status_code == 204
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert test.Client().post(PATH, headers=wallets.bearer(token=mine)).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.browser.get("/accounts/apps/").status_code == 302
    assert models.SessionKeyGrant.objects.get().state == "revoked"
    assert flow.call("/api/v1/me/", others["access_token"]).status_code == 200
    assert other.browser.get("/accounts/apps/").status_code == 200
