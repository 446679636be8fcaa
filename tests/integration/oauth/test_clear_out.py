"""What is over is ended; what could still tell of a theft stays."""

import datetime

import pytest
from django.contrib.sessions import models as session_models
from django.utils import timezone

from customers import models as customer_models
from tests.factories import wallets
from tests.integration.oauth import flow
from wallets import models
from wallets.usecases import clear_out

pytestmark = pytest.mark.django_db(transaction=True)

DAY = datetime.timedelta(days=1)


def test_a_grant_whose_time_is_over_expires_with_its_key_and_tokens(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    other = wallets.SessionKeyGrant.create()
    grant = models.SessionKeyGrant.objects.get(user=app.user)
    models.SessionKeyGrant.objects.filter(pk=grant.pk).update(ends_at=grant.starts_at + DAY)
    end = grant.starts_at + DAY
    assert clear_out.expire_grants(now=end - datetime.timedelta(seconds=1)) == 0
    assert clear_out.expire_grants(now=end) == 1
    assert clear_out.expire_grants(now=end) == 0
    grant.refresh_from_db()
    grant.key.refresh_from_db()
    assert (grant.state, grant.ended_at) == ("expired", end)
    assert grant.key.disabled_at == end
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    other.refresh_from_db()
    assert other.state == "pending"


def test_a_grant_whose_code_nobody_redeemed_fails_and_its_key_is_disabled(app: flow.MobileApp) -> None:
    app.get_tokens()
    used = models.SessionKeyGrant.objects.get()
    code = app.get_code()
    grant = models.SessionKeyGrant.objects.exclude(pk=used.pk).get()
    now = timezone.now()
    assert clear_out.end_unused(now=now + datetime.timedelta(minutes=5)) == 0
    assert clear_out.end_unused(now=now + datetime.timedelta(minutes=7)) == 1
    assert clear_out.end_unused(now=now + datetime.timedelta(minutes=7)) == 0
    grant.refresh_from_db()
    assert (grant.state, grant.key.disabled_at is not None) == ("failed", True)
    assert app.redeem(code).json()["error"] == "invalid_grant"
    used.refresh_from_db()
    assert (used.state, used.key.disabled_at) == ("pending", None)


def test_a_replayed_code_is_known_until_a_day_after_it_expired(app: flow.MobileApp) -> None:
    code = app.get_code()
    app.redeem(code)
    now = timezone.now()
    clear_out.forget(now=now + datetime.timedelta(hours=23))
    assert models.Grant.objects.count() == 1
    models.Grant.objects.update(redeemed_at=now - datetime.timedelta(hours=1))
    app.redeem(code)
    assert models.SessionKeyGrant.objects.get().state == "revoked"
    clear_out.forget(now=now + datetime.timedelta(hours=25))
    assert models.Grant.objects.count() == 0


def test_living_refresh_tokens_are_not_forgotten(app: flow.MobileApp) -> None:
    tokens = app.get_tokens(flow.READING)
    now = timezone.now()
    clear_out.forget(now=now + 30 * DAY)
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    clear_out.forget(now=now + 92 * DAY)
    assert models.RefreshToken.objects.count() == 0
    assert models.AccessToken.objects.count() == 0


def test_a_device_is_forgotten_a_day_after_its_session_is_over(app: flow.MobileApp) -> None:
    app.get_tokens(flow.READING)
    row = customer_models.SignIn.objects.get(user=app.user)
    now = timezone.now()
    clear_out.forget(now=now + 2 * DAY)
    assert customer_models.SignIn.objects.filter(pk=row.pk).exists()
    session_models.Session.objects.filter(session_key=row.session_digest).delete()
    clear_out.forget(now=now)
    assert customer_models.SignIn.objects.filter(pk=row.pk).exists()
    clear_out.forget(now=now + 2 * DAY)
    assert not customer_models.SignIn.objects.filter(pk=row.pk).exists()
    assert models.RefreshToken.objects.get(user=app.user).sign_in is None
