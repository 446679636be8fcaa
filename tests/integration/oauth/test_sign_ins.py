"""The devices on which a person is signed in: shown, and put out one by one, by the API and by the page."""

import datetime
import uuid
from typing import Any

import pytest
from django import test
from django.utils import timezone

from customers import models as customer_models
from tests.factories import customers, wallets
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/me/sign-ins/"
PAGE = "/accounts/devices/"
PASSWORD = "correct horse battery staple 9"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"


def end(path: str, token: Any) -> Any:
    return test.Client().delete(path, headers=wallets.bearer(token=token))


def sign_in(user: Any, *, address: str = "203.0.113.77", agent: str = IPHONE) -> test.Client:
    """Return a browser that signed in by the page, from there."""
    user.set_password(PASSWORD)
    user.save()
    browser = test.Client(REMOTE_ADDR=address, HTTP_USER_AGENT=agent)
    answer = browser.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.content
    return browser


def writing(user: Any) -> models.AccessToken:
    made: models.AccessToken = wallets.AccessToken.create(user=user, scope="account:read account:write")
    return made


def test_devices_are_listed_with_what_is_kept_of_them(app: flow.MobileApp) -> None:
    tokens = app.get_tokens(flow.READING)
    sign_in(app.user)
    found = flow.call(PATH, tokens["access_token"])
    assert found.status_code == 200
    phone, first = found.json()
    assert (phone["device"], phone["network"], phone["is_this_one"]) == ("Safari, iPhone", "203.0.113.0/24", False)
    assert phone["user_agent"] == IPHONE
    assert (first["is_this_one"], first["network"]) == (True, "")


def test_four_callers_of_the_list_and_of_the_end_of_one(app: flow.MobileApp) -> None:
    row = customer_models.SignIn.objects.get(user=app.user)
    one = f"{PATH}{row.pk}/"
    assert test.Client().get(PATH).status_code == test.Client().delete(one).status_code == 401
    wrong = wallets.AccessToken.create(user=app.user, scope="bills:read")
    assert test.Client().get(PATH, headers=wallets.bearer(token=wrong)).status_code == 403
    assert end(one, wallets.AccessToken.create(user=app.user, scope="account:read")).status_code == 403
    stranger = writing(customers.User.create())
    assert test.Client().get(PATH, headers=wallets.bearer(token=stranger)).json() == []
    assert end(one, stranger).status_code == end(f"{PATH}{uuid.uuid4()}/", writing(app.user)).status_code == 404
    assert app.browser.get(PAGE).status_code == 200
    assert end(one, writing(app.user)).status_code == 204
    assert app.browser.get(PAGE)["Location"].startswith("/accounts/login/")
    assert end(one, writing(app.user)).status_code == 404


def test_ending_a_device_ends_the_tokens_and_grants_given_there_and_no_others(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    tokens = app.refresh(tokens["refresh_token"]).json()
    elsewhere = flow.MobileApp(application=app.application, user=app.user)
    others = elsewhere.get_tokens(flow.READING)
    waiting = app.get_code(flow.READING)
    row = models.RefreshToken.objects.filter(session_key_grant__isnull=False).latest("pk").sign_in
    assert end(f"{PATH}{row.pk}/", writing(app.user)).status_code == 204
    grant = models.SessionKeyGrant.objects.get()
    assert (grant.state, grant.key.disabled_at is not None) == ("revoked", True)
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.redeem(waiting).json()["error"] == "invalid_grant"
    assert flow.call("/api/v1/me/", others["access_token"]).status_code == 200
    assert elsewhere.browser.get(PAGE).status_code == 200


def test_the_page_shows_and_ends_devices(app: flow.MobileApp) -> None:
    browser, other = sign_in(app.user), None
    other = test.Client(HTTP_USER_AGENT="Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36")
    other.post("/accounts/login/", {"login": app.user.email, "password": PASSWORD})
    text = browser.get(PAGE).content.decode()
    assert "Safari, iPhone" in text
    assert "Chrome, Windows" in text
    assert text.count("The one in your hands") == 1
    row = customer_models.SignIn.objects.get(user=app.user, user_agent__contains="Windows")
    stranger = test.Client()
    stranger.force_login(customers.User.create())
    for named in ({"sign_in": str(row.pk)}, {"sign_in": "x"}, {}):
        assert stranger.post(PAGE, named).status_code == 404
    assert other.get(PAGE).status_code == 200
    forged = test.Client(enforce_csrf_checks=True)
    forged.cookies = browser.cookies
    assert forged.post(PAGE, {"sign_in": str(row.pk)}).status_code == 403
    assert browser.post(PAGE, {"sign_in": str(row.pk)})["Location"] == PAGE
    assert other.get(PAGE)["Location"].startswith("/accounts/login/")
    assert browser.post(PAGE, {"everywhere": "yes"})["Location"] == "/accounts/login/"
    assert browser.get(PAGE)["Location"].startswith("/accounts/login/")
    assert customer_models.SignIn.objects.filter(user=app.user, ended_at__isnull=True).count() == 0


def test_an_app_that_signed_in_by_the_headless_api_is_put_out(app: flow.MobileApp) -> None:
    app.user.set_password(PASSWORD)
    app.user.save()
    client = test.Client(HTTP_USER_AGENT="HarborApp/7 Android")
    answer = client.post(
        "/_allauth/app/v1/auth/login",
        {"email": app.user.email, "password": PASSWORD},
        content_type="application/json",
    )
    token = {"X-Session-Token": answer.json()["meta"]["session_token"]}
    assert client.get("/_allauth/app/v1/auth/session", headers=token).status_code == 200
    row = customer_models.SignIn.objects.get(user_agent="HarborApp/7 Android")
    assert end(f"{PATH}{row.pk}/", writing(app.user)).status_code == 204
    assert client.get("/_allauth/app/v1/auth/session", headers=token).status_code in {401, 410}


def test_a_new_password_puts_the_other_devices_out_and_keeps_this_one(app: flow.MobileApp) -> None:
    browser, other = sign_in(app.user), test.Client()
    other.post("/accounts/login/", {"login": app.user.email, "password": PASSWORD})
    changed = {"oldpassword": PASSWORD, "password1": "another horse battery 7", "password2": "another horse battery 7"}
    assert browser.post("/accounts/password/change/", changed).status_code == 302
    assert other.get(PAGE)["Location"].startswith("/accounts/login/")
    assert browser.get(PAGE).content.decode().count("Safari, iPhone") == 2
    (left,) = customer_models.SignIn.objects.filter(user=app.user, ended_at__isnull=True)
    assert left.user_agent == IPHONE


def test_seen_again_is_written_at_most_every_five_minutes(app: flow.MobileApp) -> None:
    browser = sign_in(app.user)
    row = customer_models.SignIn.objects.get(user_agent=IPHONE)
    browser.get(PAGE)
    before = row.last_seen_at
    row.refresh_from_db()
    assert row.last_seen_at == before
    customer_models.SignIn.objects.filter(pk=row.pk).update(last_seen_at=timezone.now() - datetime.timedelta(hours=1))
    browser.get(PAGE, REMOTE_ADDR="2001:db8:1:2::9")
    row.refresh_from_db()
    assert row.last_seen_at > before
    assert row.network == "2001:db8:1::/48"
