"""What the consent page asks, and what comes of the answer."""

import datetime
from typing import Any

import pytest
from django.utils import formats, timezone

from custody import models as custody_models
from customers import operations as customer_operations
from tests.factories import customers, wallets
from tests.fakes import signer as fake_signer
from tests.integration.oauth import flow
from wallets import models
from wallets.usecases import grant_session_key

pytestmark = pytest.mark.django_db(transaction=True)


def nothing_was_granted() -> bool:
    return not (
        models.Grant.objects.exists()
        or models.SessionKeyGrant.objects.exists()
        or custody_models.SealedKey.objects.filter(purpose="session").exists()
    )


def test_page_says_who_pays_whom_how_much_until_when_and_who_pays_the_fee(
    app: flow.MobileApp, wallet: models.Wallet
) -> None:
    page = app.open_consent()
    text = page.content.decode()
    until = formats.date_format(timezone.now() + datetime.timedelta(days=180), "DATE_FORMAT")
    for words in (
        "Harbor mobile app, for you",
        f"{wallet.address[:6]}…{wallet.address[-4:]}",
        "Harbor Light &amp; Power only",
        "at most $500.00",
        "at most $1,000.00",
        "at most $6,000.00",
        until,
        "USDX, one for each USD",
        "Harbor Light &amp; Power pays it, unless you choose to: then at most 1 USDX or 50 OVPP a payment",
    ):
        assert words in text
    assert "checked" not in text
    assert "<script" not in text
    assert nothing_was_granted()


def test_page_cannot_be_framed_scripted_cached_or_told_on(app: flow.MobileApp) -> None:
    page = app.open_consent()
    assert page["X-Frame-Options"] == "DENY"
    policy = page["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' com.openvpp.demo:" in policy
    assert "script-src" not in policy
    assert "no-store" in page["Cache-Control"]
    assert page["Referrer-Policy"] == "same-origin"


def test_allowing_stores_what_was_shown_and_what_the_owner_signed(
    app: flow.MobileApp, wallet: models.Wallet, signer: fake_signer.FakeSigner
) -> None:
    page = app.open_consent()
    answer = app.answer(page)
    told = flow.parameters(answer)
    assert answer["Location"].startswith("com.openvpp.demo://callback?")
    assert (told["state"], told["iss"]) == ("xyz", "http://127.0.0.1:8000")
    grant = models.SessionKeyGrant.objects.get()
    assert (grant.state, grant.user_id, grant.wallet_id) == ("pending", app.user.pk, wallet.pk)
    assert str(grant.pk) == flow.consent_id(page)
    assert grant.payee == wallet.utility.treasury_address
    assert grant.limit_per_payment_units == 500_000_000
    assert grant.limit_per_period_units == 1_000_000_000
    assert grant.limit_total_units == 6_000_000_000
    assert grant.period_seconds == 30 * 86400
    assert (grant.fee_cap_units, grant.fee_token_cap_units) == (1_000_000, 50 * 10**18)
    assert grant.ends_at - grant.starts_at == datetime.timedelta(days=180)
    text = page.content.decode().replace("&amp;", "&")
    assert all(line.split(": ", 1)[1] in text for line in grant.shown_text.split("\n"))
    assert len(signer.signed) == 1
    policy = grant.key.policy
    assert policy["account"] == wallet.address.lower()
    assert policy["payee"] == wallet.utility.treasury_address.lower()
    assert (policy["starts_at"], policy["ends_at"]) == (
        int(grant.starts_at.timestamp()),
        int(grant.ends_at.timestamp()),
    )
    assert policy["max_per_period_units"] == grant.limit_per_period_units
    assert models.Grant.objects.get().session_key_grant == grant


def test_changed_limits_are_shown_again_before_they_can_be_allowed(app: flow.MobileApp) -> None:
    first = app.open_consent()
    changed = app.answer(first, "change", per_payment="80", per_period="120.50", total="200", days="30")
    assert changed.status_code == 200
    text = changed.content.decode()
    assert "at most $80.00" in text
    assert "at most $120.50" in text
    assert "at most $200.00" in text
    assert app.answer(first).status_code == 400
    assert nothing_was_granted()
    assert app.answer(changed).status_code == 302
    grant = models.SessionKeyGrant.objects.get()
    assert (grant.limit_per_payment_units, grant.limit_per_period_units, grant.limit_total_units) == (
        80_000_000,
        120_500_000,
        200_000_000,
    )
    assert grant.ends_at - grant.starts_at == datetime.timedelta(days=30)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"per_payment": "2000.01"}, "At most $2,000.00 is possible."),
        ({"per_payment": "0"}, "Enter more than nothing."),
        ({"per_payment": "1.001"}, "no more than 2 decimal places"),
        ({"per_payment": "200", "per_period": "100"}, "must not be less than the limit for one payment"),
        ({"per_period": "500", "total": "499"}, "must not be less than the limit for 30 days"),
        ({"per_payment": "NaN"}, "Enter a number."),
        ({"days": "36500"}, "not one of the available choices"),
    ],
)
def test_limits_out_of_bounds_change_nothing(app: flow.MobileApp, fields: dict[str, str], words: str) -> None:
    page = app.open_consent()
    sound = {"per_payment": "50", "per_period": "100", "total": "300", "days": "90"}
    answer = app.answer(page, "change", **(sound | fields))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert flow.consent_id(answer) == flow.consent_id(page)
    assert nothing_was_granted()


def test_without_spending_no_key_is_made(app: flow.MobileApp, signer: fake_signer.FakeSigner) -> None:
    page = app.open_consent(flow.READING)
    assert "See your bills" in page.content.decode()
    assert "at most" not in page.content.decode()
    assert app.answer(page).status_code == 302
    assert models.Grant.objects.get().session_key_grant is None
    assert not models.SessionKeyGrant.objects.exists()
    assert signer.signed == []


def test_every_scope_but_that_of_signing_in_is_told_in_words(app: flow.MobileApp, settings: Any) -> None:
    asked = [name for name in settings.OAUTH_SCOPES if name not in ("openid", "payments:write")]
    app.application.allowed_scopes = " ".join(asked)
    app.application.save()
    text = app.open_consent(" ".join(asked)).content.decode()
    assert text.count("<li>") == len(asked)


def test_a_person_who_is_signed_out_while_they_answer_gives_nothing_away(
    app: flow.MobileApp, signer: fake_signer.FakeSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = app.open_consent()
    granted = grant_session_key.grant

    def grant_and_be_signed_out(**given: Any) -> models.SessionKeyGrant:
        customer_operations.sign_out_everywhere(user=app.user, now=timezone.now())
        return granted(**given)

    monkeypatch.setattr(grant_session_key, "grant", grant_and_be_signed_out)
    answer = app.answer(page)
    assert (answer.status_code, "signed out meanwhile" in answer.content.decode()) == (409, True)
    assert not models.Grant.objects.exists()
    grant = models.SessionKeyGrant.objects.get()
    assert (grant.state, grant.key.disabled_at is not None) == ("revoked", True)


def test_refusing_tells_the_app_and_grants_nothing(app: flow.MobileApp) -> None:
    page = app.open_consent()
    told = flow.parameters(app.answer(page, "deny"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "xyz", "http://127.0.0.1:8000")
    assert app.answer(page).status_code == 400
    assert nothing_was_granted()


def test_a_person_without_a_wallet_is_sent_back(app: flow.MobileApp) -> None:
    stranger = flow.MobileApp(application=app.application, user=customers.User.create())
    page = stranger.open_consent()
    assert page.status_code == 409
    assert "You have no wallet here yet" in page.content.decode()
    assert "com.openvpp.demo://callback?error=access_denied" in page.content.decode()
    assert nothing_was_granted()


def test_the_signer_being_away_allows_nothing_and_the_answer_can_be_given_again(
    app: flow.MobileApp, signer: fake_signer.FakeSigner
) -> None:
    page = app.open_consent()
    signer.is_reachable = False
    answer = app.answer(page)
    assert answer.status_code == 503
    assert "Nothing was allowed" in answer.content.decode()
    assert nothing_was_granted()
    signer.is_reachable = True
    assert app.answer(answer).status_code == 302


def test_an_answer_from_another_session_or_a_stale_page_is_refused(app: flow.MobileApp) -> None:
    page = app.open_consent()
    other = flow.MobileApp(application=app.application, user=app.user)
    assert other.answer(page).status_code == 400
    session = app.browser.session
    session["oauth_consents"][flow.consent_id(page)]["asked_at"] = (
        timezone.now() - datetime.timedelta(minutes=11)
    ).isoformat()
    session.save()
    assert app.answer(page).status_code == 400
    assert nothing_was_granted()


def test_an_app_of_another_utility_cannot_reach_the_wallet(app: flow.MobileApp) -> None:
    other = flow.MobileApp(application=wallets.Application.create(), user=app.user)
    page = other.open_consent()
    assert page.status_code == 409
    assert nothing_was_granted()


def test_spanish_page(app: flow.MobileApp) -> None:
    app.browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    text = app.open_consent().content.decode()
    assert '<html lang="es">' in text
    assert "Permitir" in text
    assert "como máximo" in text
    changed = app.answer(app.open_consent(), "change", per_payment="80,50", per_period="120,50", total="200", days="30")
    assert "como máximo $80,50" in changed.content.decode()


@pytest.mark.parametrize("scope", [flow.READING, flow.SPENDING])
def test_an_app_may_name_the_language_of_sign_in_and_consent(app: flow.MobileApp, scope: str) -> None:
    stranger = flow.MobileApp(application=app.application, user=None)
    to_sign_in = stranger.open_consent(scope, ui_locales="de es-MX en")
    assert "Iniciar sesión" in stranger.browser.get(to_sign_in["Location"]).content.decode()
    page = app.open_consent(scope, ui_locales="de es-MX en")
    assert "Permitir" in page.content.decode()
    assert "Permitir" in app.answer(page, "neither").content.decode()
    for unspoken in ("de", "", "../" * 400):
        assert (
            "Allow"
            in flow.MobileApp(application=app.application, user=app.user)
            .open_consent(scope, ui_locales=unspoken)
            .content.decode()
        )


def test_the_page_is_posted_with_a_csrf_token_only(app: flow.MobileApp) -> None:
    page = app.open_consent()
    app.browser.handler.enforce_csrf_checks = True
    refused = app.answer(page)
    assert (refused.status_code, "The page was not accepted" in refused.content.decode()) == (403, True)
    assert nothing_was_granted()
