"""Connected apps, by the page; and everything that ends all of them at once."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_removed
from django import test
from django.contrib import admin
from django.utils import timezone

from customers import models as customer_models
from openvpp.core import db
from tests.factories import customers
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/accounts/apps/"
ME = "/api/v1/me/"


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


def test_a_passkey_or_second_factor_that_is_gone_ends_grants(
    app: flow.MobileApp, paid: tuple[dict[str, Any], models.SessionKeyGrant]
) -> None:
    tokens, grant = paid
    gone = Authenticator(user=app.user, type=Authenticator.Type.WEBAUTHN, data={})
    authenticator_removed.send(sender=Authenticator, request=None, user=app.user, authenticator=gone)
    assert_over(app, tokens, grant)


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
