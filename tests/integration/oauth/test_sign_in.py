"""Signing up and in: the mobile app by JSON, a person by the pages, and from either to the consent page."""

import json
import re
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal import auth as recovery_codes
from allauth.mfa.totp.internal import auth as totp
from django import test
from django.contrib.sessions import models as session_models
from django.core import cache, mail

from customers import models as customer_models
from tests.factories import customers, wallets
from tests.integration.oauth import flow
from wallets import models as wallet_models

pytestmark = pytest.mark.django_db(transaction=True)

AUTH = "/_allauth/app/v1/auth"
PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def _no_counts_of_other_tests() -> None:
    cache.cache.clear()


def call(path: str, body: dict[str, Any] | None = None, token: str = "", method: str = "post") -> Any:
    headers = {"X-Session-Token": token} if token else {}
    return test.Client().generic(
        method, f"{AUTH}/{path}", json.dumps(body or {}), content_type="application/json", headers=headers
    )


def code_of(message: Any) -> str:
    found = re.search(r"^[0-9A-Z]{4}-[0-9A-Z]{4}$", message.body, re.MULTILINE)
    assert found, message.body
    return found[0]


def sign_up_by_page(email: str) -> str:
    """Return what the browser shows after that, without what differs from form to form."""
    browser = test.Client()
    answer = browser.post("/accounts/signup/", {"email": email, "password1": PASSWORD}, follow=True)
    assert answer.status_code == 200
    return re.sub(r'value="[0-9A-Za-z]{64}"', "", answer.content.decode())


def test_the_app_signs_a_person_up_and_opens_consent_with_their_session(app: flow.MobileApp) -> None:
    answer = call("signup", {"email": "New@Example.com", "password": PASSWORD})
    assert answer.status_code == 401
    token = answer.json()["meta"]["session_token"]
    assert call("email/verify", {"key": "2222-2222"}, token).status_code == 400
    verified = call("email/verify", {"key": code_of(mail.outbox[-1])}, token)
    assert (verified.status_code, verified.json()["meta"]["is_authenticated"]) == (200, True)
    token = verified.json()["meta"].get("session_token", token)
    person = customer_models.User.objects.get(email="new@example.com")
    customers.Customer.create(user=person, utility=app.application.utility)
    phone = flow.MobileApp(application=app.application, user=None)
    phone.browser.defaults["HTTP_X_SESSION_TOKEN"] = token
    page = phone.open_consent(flow.READING)
    assert page.status_code == 200
    assert "new@example.com" in page.content.decode()
    del phone.browser.defaults["HTTP_X_SESSION_TOKEN"]
    assert phone.browser.cookies["sessionid"].value
    answer = phone.answer(page)
    assert answer.status_code == 302
    tokens = phone.redeem(flow.parameters(answer)["code"]).json()
    assert flow.call("/api/v1/me/", tokens["access_token"]).json()["email"] == "new@example.com"


def test_the_app_signs_a_person_in_and_out(app: flow.MobileApp) -> None:
    answer = call("login", {"email": app.user.email, "password": PASSWORD})
    token = answer.json()["meta"]["session_token"]
    assert call("session", token=token, method="get").json()["data"]["user"]["email"] == app.user.email
    assert call("session", token=token, method="delete").status_code == 401
    assert call("session", token=token, method="get").status_code in {401, 410}
    phone = flow.MobileApp(application=app.application, user=None)
    phone.browser.defaults["HTTP_X_SESSION_TOKEN"] = token
    assert phone.open_consent().status_code == 302


def test_the_database_knows_no_session_key(app: flow.MobileApp) -> None:
    token = call("login", {"email": app.user.email, "password": PASSWORD}).json()["meta"]["session_token"]
    cookie = app.browser.cookies["sessionid"].value
    kept = list(session_models.Session.objects.values_list("session_key", flat=True))
    assert len(kept) == 2
    assert token not in kept
    assert cookie not in kept
    stolen = flow.MobileApp(application=app.application, user=None)
    for key in kept:
        stolen.browser.cookies["sessionid"] = key
        assert stolen.open_consent().status_code == 302


def test_a_browser_is_sent_to_sign_in_and_comes_back_to_consent(app: flow.MobileApp) -> None:
    stranger = flow.MobileApp(application=app.application, user=None)
    to_sign_in = stranger.open_consent()
    assert to_sign_in.status_code == 302
    assert to_sign_in["Location"].startswith("/accounts/login/?next=/oauth/authorize/")
    page = stranger.browser.get(to_sign_in["Location"])
    assert "Harbor Light &amp; Power" in page.content.decode()
    assert app.application.utility.brand_color in page.content.decode()
    assert "http" not in page.content.decode().replace("https%3A", "").split("<main>")[0].replace("http-equiv", "")
    back = stranger.browser.post(to_sign_in["Location"], {"login": app.user.email, "password": PASSWORD})
    assert back.status_code == 302
    assert back["Location"].startswith("/oauth/authorize/?")
    consent = stranger.browser.get(back["Location"])
    assert flow.consent_id(consent)


def test_a_stranger_with_a_bad_request_is_not_sent_to_sign_in() -> None:
    stranger = flow.MobileApp(application=wallets.Application.create(), user=None)
    assert stranger.open_consent(flow.READING, redirect_uri="https://evil.example.com/").status_code == 400
    assert stranger.open_pushed("urn:ietf:params:oauth:request_uri:guessed").status_code == 400


def test_neither_sign_up_nor_sign_in_nor_reset_tells_whether_an_account_exists(app: flow.MobileApp) -> None:
    known, unknown = app.user.email, "nobody@example.com"
    signed_up = [call("signup", {"email": email, "password": PASSWORD}) for email in (known, unknown)]
    assert [answer.status_code for answer in signed_up] == [401, 401]
    assert signed_up[0].json()["data"] == signed_up[1].json()["data"]
    to_known, to_unknown = mail.outbox
    assert (to_known.to, "already exists" in str(to_known.body)) == ([known], True)
    assert (to_unknown.to, len(code_of(to_unknown))) == ([unknown], 9)
    cache.cache.clear()
    pages = [sign_up_by_page(email) for email in (known, "another@example.com")]
    assert pages[0].replace(known, "") == pages[1].replace("another@example.com", "")
    wrong = [call("login", {"email": email, "password": "wrong password"}) for email in (known, unknown)]
    assert [answer.status_code for answer in wrong] == [400, 400]
    assert wrong[0].json()["errors"] == wrong[1].json()["errors"]
    resets = [call("password/request", {"email": email}) for email in (known, unknown)]
    assert resets[0].status_code == resets[1].status_code
    assert resets[0].content == resets[1].content


def test_guessing_a_password_is_stopped_alike_for_an_account_that_does_not_exist(app: flow.MobileApp) -> None:
    told = []
    for email in ("nobody@example.com", app.user.email):
        cache.cache.clear()  # guesses are counted by network too
        tries = [call("login", {"email": email, "password": f"guess number {n}"}) for n in range(7)]
        told.append([answer.json()["errors"][0]["code"] for answer in tries])
    assert told == [["email_password_mismatch"] * 5 + ["too_many_login_attempts"] * 2] * 2
    right = call("login", {"email": app.user.email, "password": PASSWORD})
    assert right.status_code == 400


def half_way(app: flow.MobileApp) -> str:
    """Give the right password and return the session, to which the second factor is still due."""
    answer = call("login", {"email": app.user.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["meta"]["is_authenticated"]) == (401, False)
    assert {"id": "mfa_authenticate", "is_pending": True}.items() <= answer.json()["data"]["flows"][-1].items()
    return str(answer.json()["meta"]["session_token"])


def code_now() -> str:
    return str(totp.format_hotp_value(totp.hotp_value(SECRET, next(iter(totp.yield_hotp_counters_from_time())))))


def test_a_second_factor_is_due_and_a_code_of_it_works_once(app: flow.MobileApp) -> None:
    totp.TOTP.activate(app.user, SECRET)
    token = half_way(app)
    phone = flow.MobileApp(application=app.application, user=None)
    phone.browser.defaults["HTTP_X_SESSION_TOKEN"] = token
    assert phone.open_consent().status_code == 302  # to sign in: a password alone opens nothing
    wrong = call("2fa/authenticate", {"code": "000000"}, token)
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (400, "incorrect_code")
    code = code_now()
    signed_in = call("2fa/authenticate", {"code": code}, token).json()["meta"]
    assert (signed_in["is_authenticated"], signed_in["session_token"] != token) == (True, True)
    phone.browser.defaults["HTTP_X_SESSION_TOKEN"] = signed_in["session_token"]
    assert phone.open_consent().status_code == 200
    assert call("2fa/authenticate", {"code": code}, half_way(app)).status_code == 400


def test_a_recovery_code_works_once(app: flow.MobileApp) -> None:
    totp.TOTP.activate(app.user, SECRET)
    code = recovery_codes.RecoveryCodes.activate(app.user).get_unused_codes()[0]
    assert call("2fa/authenticate", {"code": code}, half_way(app)).status_code == 200
    assert call("2fa/authenticate", {"code": code}, half_way(app)).status_code == 400


def test_guessing_a_code_is_stopped(app: flow.MobileApp) -> None:
    totp.TOTP.activate(app.user, SECRET)
    token = half_way(app)
    told = [call("2fa/authenticate", {"code": "000000"}, token) for _ in range(7)]
    assert told[-1].json()["errors"][0]["code"] == "too_many_login_attempts"
    assert call("2fa/authenticate", {"code": code_now()}, token).status_code == 400


@pytest.mark.parametrize("scope", [flow.READING, flow.SPENDING])
def test_a_new_password_puts_out_whoever_came_in_by_the_old_one(app: flow.MobileApp, scope: str) -> None:
    tokens, waiting = app.redeem(app.get_code(scope)).json(), app.get_code(scope)
    other = flow.MobileApp(application=app.application, user=customers.User.create())
    others = other.redeem(other.get_code(flow.READING)).json()
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 200

    answer = app.browser.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "a brand new staple", "password2": "a brand new staple"},
    )
    assert answer.status_code == 302

    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.redeem(waiting).json()["error"] == "invalid_grant"
    assert not wallet_models.SessionKeyGrant.objects.filter(
        state__in=wallet_models.SessionKeyGrant.LIVE_STATES
    ).exists()
    assert flow.call("/api/v1/me/", others["access_token"]).status_code == 200


def test_a_deactivated_person_does_not_sign_in(app: flow.MobileApp) -> None:
    app.user.is_active = False
    app.user.save()
    assert call("login", {"email": app.user.email, "password": PASSWORD}).status_code in {400, 401}
    assert test.Client().get("/accounts/login/").status_code == 200


def test_too_many_tries_are_told_in_words(app: flow.MobileApp) -> None:
    browser = test.Client(headers={"Accept-Language": "es"})
    given = {"email": "new@example.com", "password1": PASSWORD}
    assert browser.post("/accounts/signup/", given).status_code == 302
    refused = test.Client(headers={"Accept-Language": "es"}).post("/accounts/signup/", given)
    assert (refused.status_code, "Demasiados intentos" in refused.content.decode()) == (429, True)


@pytest.mark.parametrize(
    "path", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/accounts/inactive/"]
)
def test_pages_cannot_be_framed_and_load_nothing_from_elsewhere(path: str) -> None:
    page = test.Client().get(path)
    assert page.status_code == 200
    assert page["X-Frame-Options"] == "DENY"
    assert 'src="http' not in page.content.decode()
    assert 'href="http' not in page.content.decode()
