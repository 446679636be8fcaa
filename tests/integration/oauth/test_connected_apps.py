"""Connected apps, by the page; and everything that ends all of them at once."""

import contextlib
import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django import test
from django.contrib import admin
from django.core import cache, mail
from django.utils import timezone

from customers import models as customer_models
from openvpp.core import db
from tests.factories import customers
from tests.integration.oauth import flow
from wallets import models
from wallets.usecases import revoke_session_key

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/accounts/apps/"
ME = "/api/v1/me/"
PASSWORD, NEW_PASSWORD = "correct horse battery", "a brand new staple"


class KilledError(Exception):
    """As if the process had died there."""


@pytest.fixture(autouse=True)
def _no_counts_of_other_tests() -> None:
    cache.cache.clear()


@pytest.fixture
def paid(app: flow.MobileApp) -> tuple[dict[str, Any], models.SessionKeyGrant]:
    """Tokens of a grant that has paid, so that its key stands on the chain."""
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
    return tokens, grant


def assert_over(app: flow.MobileApp, tokens: dict[str, Any], grant: models.SessionKeyGrant) -> None:
    grant.refresh_from_db()
    assert (grant.state, grant.key.disabled_at is not None) == ("revoking", True)
    assert flow.call(ME, tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code in {400, 401}


def test_the_page_shows_what_was_agreed_to_and_ends_it(
    app: flow.MobileApp, paid: tuple[dict[str, Any], models.SessionKeyGrant]
) -> None:
    tokens, grant = paid
    text = app.browser.get(PAGE).content.decode()
    assert "Harbor mobile app may pay Harbor Light &amp; Power" in text
    assert "at most $1,000.00" in text
    assert app.browser.post(PAGE, {"grant": str(grant.pk)}).status_code == 302
    assert_over(app, tokens, grant)
    assert "You have let no app in." in app.browser.get(PAGE).content.decode()


def test_an_app_that_only_reads_is_shown_and_put_out(app: flow.MobileApp) -> None:
    tokens = app.get_tokens(flow.READING)
    text = app.browser.get(PAGE).content.decode()
    assert "See your bills" in text
    family = models.RefreshToken.objects.get().token_family
    assert app.browser.post(PAGE, {"family": str(family)}).status_code == 302
    assert flow.call(ME, tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400


def test_four_callers_of_the_page(app: flow.MobileApp, paid: tuple[dict[str, Any], models.SessionKeyGrant]) -> None:
    tokens, grant = paid
    assert test.Client().get(PAGE)["Location"].startswith("/accounts/login/")
    other = test.Client()
    other.force_login(customers.User.create())
    assert "may pay" not in other.get(PAGE).content.decode()
    for named in ({"grant": str(grant.pk)}, {"grant": "x"}, {"family": "x"}, {}):
        assert other.post(PAGE, named).status_code == 404
    forged = test.Client(enforce_csrf_checks=True)
    forged.force_login(app.user)
    assert forged.post(PAGE, {"grant": str(grant.pk)}).status_code == 403
    assert flow.call(ME, tokens["access_token"]).status_code == 200


def test_signing_out_everywhere_ends_sessions_tokens_and_grants(
    app: flow.MobileApp, paid: tuple[dict[str, Any], models.SessionKeyGrant]
) -> None:
    tokens, grant = paid
    elsewhere = test.Client()
    elsewhere.force_login(app.user)
    assert elsewhere.get(PAGE).status_code == 200
    assert app.browser.post(PAGE, {"everywhere": "yes"}).status_code == 302
    assert_over(app, tokens, grant)
    for browser in (elsewhere, app.browser):
        assert browser.get(PAGE)["Location"].startswith("/accounts/login/")


def test_a_passkey_or_second_factor_that_is_gone_ends_grants_in_the_transaction_that_deletes_it(
    app: flow.MobileApp, paid: tuple[dict[str, Any], models.SessionKeyGrant]
) -> None:
    tokens, grant = paid
    gone = Authenticator.objects.create(user=app.user, type=Authenticator.Type.WEBAUTHN, data={})
    with contextlib.suppress(KilledError), db.transaction():
        gone.delete()
        raise KilledError
    assert Authenticator.objects.exists()
    assert flow.call(ME, tokens["access_token"]).status_code == 200
    Authenticator.objects.get().delete()
    assert_over(app, tokens, grant)


@pytest.mark.parametrize("door", ["page", "app", "reset", "staff"])
def test_a_new_password_ends_grants_in_the_transaction_that_stores_it(
    app: flow.MobileApp,
    paid: tuple[dict[str, Any], models.SessionKeyGrant],
    monkeypatch: pytest.MonkeyPatch,
    door: str,
) -> None:
    tokens, grant = paid
    act = {"page": by_page, "app": by_app, "reset": by_mail, "staff": by_staff}[door]
    revoke = revoke_session_key.on_access_ended

    def die(**_: Any) -> None:
        raise KilledError

    monkeypatch.setattr(revoke_session_key, "on_access_ended", die)
    with contextlib.suppress(KilledError):
        act(app)
    app.user.refresh_from_db()
    assert app.user.check_password(PASSWORD)
    assert flow.call(ME, tokens["access_token"]).status_code == 200
    monkeypatch.setattr(revoke_session_key, "on_access_ended", revoke)
    assert act(app).status_code in {200, 302}
    app.user.refresh_from_db()
    assert app.user.check_password(NEW_PASSWORD)
    assert_over(app, tokens, grant)


def by_page(app: flow.MobileApp) -> Any:
    given = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    return app.browser.post("/accounts/password/change/", given)


def by_app(app: flow.MobileApp) -> Any:
    def call(path: str, **given: str) -> Any:
        return client.post(f"/_allauth/app/v1/{path}", given, content_type="application/json", headers=headers)

    client, headers = test.Client(), {}
    signed_in = call("auth/login", email=app.user.email, password=PASSWORD)
    headers = {"X-Session-Token": signed_in.json()["meta"]["session_token"]}
    return call("account/password/change", current_password=PASSWORD, new_password=NEW_PASSWORD)


def by_mail(app: flow.MobileApp) -> Any:
    browser = test.Client()
    browser.post("/accounts/password/reset/", {"email": app.user.email})
    found = re.search(r"/accounts/password/reset/key/\S+", str(mail.outbox[-1].body))
    assert found
    form = browser.get(found[0])["Location"]
    return browser.post(form, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})


def by_staff(app: flow.MobileApp) -> Any:
    browser = test.Client()
    browser.force_login(customers.User.create(is_staff=True, is_superuser=True))
    given = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    return browser.post(f"/admin/customers/user/{app.user.pk}/password/", given)


@pytest.mark.parametrize("what", ["person", "application"])
def test_disabling_a_person_or_an_application_in_admin_ends_grants(
    app: flow.MobileApp, paid: tuple[dict[str, Any], models.SessionKeyGrant], rf: test.RequestFactory, what: str
) -> None:
    tokens, grant = paid
    row = app.user if what == "person" else app.application
    row.is_active = False
    model = customer_models.User if what == "person" else models.Application
    request = rf.post("/admin/")
    request.user = customers.User.create(is_staff=True, is_superuser=True)
    with db.transaction():
        admin.site._registry[model].save_model(request, row, form=None, change=True)
    assert_over(app, tokens, grant)
