"""What an application asks in detail: shown as it is, frozen, granted unchanged, or refused."""

import itertools
import json
import time
from typing import Any

import pytest

from contracts.bindings import words
from custody import models as custody_models
from custody.domain import consents
from tests.factories import customers
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400
DOLLAR = 1_000_000
PASSWORD = "correct horse battery"


@pytest.fixture
def detail(wallet: models.Wallet) -> dict[str, Any]:
    """80 USDX a payment, 120 every ten days, 240 in all, the network fee at most half a USDX."""
    token = wallet.utility.tokens.get(symbol="USDX").address
    return {
        "type": "ovpp_session_key",
        "actions": ["pay_bills"],
        "payee": wallet.utility.treasury_address,
        "tokens": [
            {
                "token": token,
                "limit_per_operation": str(80 * DOLLAR),
                "limit_per_period": str(120 * DOLLAR),
                "period_seconds": 10 * DAY,
                "limit_total": str(240 * DOLLAR),
            }
        ],
        "fee": {"mode": "customer", "bounds": [{"token": token, "limit_per_operation": "500000"}]},
        "not_before": int(time.time()) + 2 * DAY,
        "not_after": int(time.time()) + 60 * DAY,
        "key": {"mode": "custodial"},
    }


def ask(app: flow.MobileApp, detail: dict[str, Any], **changes: Any) -> Any:
    return app.open_consent(authorization_details=json.dumps([detail]), **changes)


def test_details_are_shown_in_words_and_granted_as_they_were_shown(
    app: flow.MobileApp, wallet: models.Wallet, detail: dict[str, Any]
) -> None:
    page = ask(app, detail)
    text = page.content.decode()
    for shown in ("at most $80.00", "Every 10 days", "at most $120.00", "at most $240.00", "Not before", "0.5 USDX"):
        assert shown in text
    assert "Change these limits" not in text
    tokens = app.redeem(flow.parameters(app.answer(page))["code"]).json()
    (granted,) = tokens["authorization_details"]
    assert {name: granted[name] for name in detail} == detail
    assert granted["wallet"] == wallet.address
    grant = models.SessionKeyGrant.objects.get()
    assert grant.authorization_details == [granted]
    assert (granted["identifier"], grant.period_seconds) == (str(grant.pk), 10 * DAY)
    assert granted["shown_text_digest"] == "0x" + words.keccak(grant.shown_text.encode()).hex()
    assert int(grant.starts_at.timestamp()) == detail["not_before"]
    assert (grant.fee_cap_units, grant.fee_token) == (500_000, None)


def test_the_digest_that_the_owner_signs_is_of_the_details_that_were_granted(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    (granted,) = tokens["authorization_details"]
    grant = models.SessionKeyGrant.objects.get()
    assert grant.consent_digest == "0x" + consents.digest(terms=granted).hex()
    assert custody_models.Consent.objects.get().terms == granted
    assert consents.difference(terms=granted, policy=grant.policy) is None


def test_the_default_limits_become_the_same_kind_of_details(app: flow.MobileApp, wallet: models.Wallet) -> None:
    (granted,) = app.get_tokens()["authorization_details"]
    assert (granted["type"], granted["key"]) == ("ovpp_session_key", {"mode": "custodial"})
    assert granted["tokens"][0]["limit_per_operation"] == str(500 * DOLLAR)
    assert granted["tokens"][0]["limit_total"] == str(6000 * DOLLAR)
    assert granted["payee"] == wallet.utility.treasury_address


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("payee",), "0x" + "11" * 20),
        (("tokens", 0, "token"), "0x" + "11" * 20),
        (("tokens", 0, "limit_per_operation"), str(2000 * DOLLAR + 10_000)),
        (("tokens", 0, "limit_per_operation"), "79999999"),
        (("tokens", 0, "limit_total"), str(60_000 * DOLLAR)),
        (("fee", "bounds", 0, "limit_per_operation"), "1000001"),
        (("not_after",), int(time.time()) + 366 * DAY),
        (("not_after",), int(time.time()) - 1),
        (("key",), {"mode": "client"}),
        (("memo",), "altered"),
    ],
    ids=itertools.count(1),
)
def test_details_beyond_the_utilitys_bounds_or_not_displayed_are_refused(
    app: flow.MobileApp, detail: dict[str, Any], path: tuple[Any, ...], value: Any
) -> None:
    place: Any = detail
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    if path == ("not_after",):
        del detail["not_before"]
    if path[-1] == "limit_per_operation" and path[0] == "tokens":
        detail["tokens"][0] |= {"limit_per_period": str(4000 * DOLLAR), "limit_total": str(6000 * DOLLAR)}
    refused = ask(app, detail)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")
    assert not models.PushedRequest.objects.exists()
    assert not models.SessionKeyGrant.objects.exists()


def test_the_wallet_of_somebody_else_is_refused(app: flow.MobileApp, detail: dict[str, Any]) -> None:
    refused = ask(app, detail | {"wallet": "0x" + "22" * 20})
    told = flow.parameters(refused)
    assert (told["error"], told["state"], told["iss"]) == (
        "invalid_authorization_details",
        "xyz",
        "http://127.0.0.1:8000",
    )
    assert not models.SessionKeyGrant.objects.exists()


def test_altered_details_at_the_token_endpoint_are_refused(app: flow.MobileApp, detail: dict[str, Any]) -> None:
    code = flow.parameters(app.answer(ask(app, detail)))["code"]
    wider = detail | {"tokens": [detail["tokens"][0] | {"limit_total": str(6000 * DOLLAR)}]}
    refused = app.redeem(code, authorization_details=json.dumps([wider]))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")
    assert not models.AccessToken.objects.exists()
    tokens = app.redeem(code).json()
    widened = app.refresh(tokens["refresh_token"], authorization_details=json.dumps([wider]))
    assert widened.json()["error"] == "invalid_authorization_details"
    same = app.refresh(
        tokens["refresh_token"], authorization_details=json.dumps(tokens["authorization_details"])
    ).json()
    assert same["authorization_details"] == tokens["authorization_details"]


def test_above_the_utilitys_threshold_a_person_proves_again_who_they_are(app: flow.MobileApp) -> None:
    page = app.open_consent()
    higher = app.answer(page, "change", per_payment="900", per_period="1000.01", total="6000", days="90")
    to_proof = app.answer(higher)
    assert to_proof.status_code == 302
    assert to_proof["Location"].startswith("/accounts/reauthenticate/?next=%2Foauth%2Fauthorize%2F%3Fconsent%3D")
    assert not models.SessionKeyGrant.objects.exists()
    wrong = app.browser.post(to_proof["Location"], {"password": "not the password"})
    assert wrong.status_code == 200
    assert app.answer(higher).status_code == 302
    assert not models.SessionKeyGrant.objects.exists()
    back = app.browser.post(to_proof["Location"], {"password": PASSWORD})
    shown = app.browser.get(back["Location"])
    assert flow.consent_id(shown) == flow.consent_id(higher)
    assert "at most $1,000.01" in shown.content.decode()
    assert "code" in flow.parameters(app.answer(shown))
    assert models.SessionKeyGrant.objects.get().limit_per_period_units == 1_000_010_000


def test_who_has_neither_password_nor_key_proves_it_by_signing_in_again(app: flow.MobileApp) -> None:
    app.user.set_unusable_password()
    app.user.save()
    app.browser.force_login(app.user)
    page = app.open_consent()
    higher = app.answer(page, "change", per_payment="900", per_period="1000.01", total="6000", days="90")
    refused = app.answer(higher)
    assert (refused.status_code, "sign out and in again" in refused.content.decode()) == (403, True)
    assert not models.SessionKeyGrant.objects.exists()
    session = app.browser.session
    session["account_authentication_methods"] = [{"method": "socialaccount", "at": time.time() - 10}]
    session["account_authentication_methods_user"] = str(app.user.pk)
    session.save()
    assert "code" in flow.parameters(app.answer(higher))


def test_short_periods_do_not_slip_under_the_threshold_or_the_utilitys_bounds(
    app: flow.MobileApp, detail: dict[str, Any]
) -> None:
    a_day = {"period_seconds": DAY, "limit_per_operation": str(80 * DOLLAR), "limit_per_period": str(80 * DOLLAR)}
    detail["tokens"][0] |= a_day | {"limit_total": str(1000 * DOLLAR)}
    del detail["not_before"]
    assert "code" in flow.parameters(app.answer(ask(app, detail)))  # 1,000 in all, on whichever days
    detail["tokens"][0]["limit_total"] = str(1001 * DOLLAR)
    assert app.answer(ask(app, detail))["Location"].startswith("/accounts/reauthenticate/")
    assert models.SessionKeyGrant.objects.count() == 1
    highest = app.application.utility.max_period_limit_cents // 100
    detail["tokens"][0]["limit_total"] = str((highest + 1) * DOLLAR)
    detail["tokens"][0]["limit_per_period"] = str((highest // 30 + 1) * DOLLAR)
    refused = ask(app, detail)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")
    assert "thirty days" in refused.json()["error_description"]


def test_at_the_threshold_nobody_is_asked_again(app: flow.MobileApp) -> None:
    page = app.open_consent()
    same = app.answer(page, "change", per_payment="900", per_period="1000", total="6000", days="90")
    assert "code" in flow.parameters(app.answer(same))


def test_another_persons_question_is_not_shown_again(app: flow.MobileApp) -> None:
    page = app.open_consent()
    other = flow.MobileApp(application=app.application, user=customers.User.create())
    assert other.browser.get(f"/oauth/authorize/?consent={flow.consent_id(page)}").status_code == 400


def test_what_is_asked_in_detail_is_told_in_spanish_too(app: flow.MobileApp, detail: dict[str, Any]) -> None:
    app.browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    text = ask(app, detail).content.decode()
    for shown in ("Cada 10 días", "No antes de", "como máximo $80,00"):
        assert shown in text
