"""Redirects that no other app on the phone can take."""

from typing import Any

import pytest
from django import test

from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

CLAIMED = "https://pay.example.org/app/callback/"


@pytest.mark.parametrize(
    ("redirect_uri", "status"),
    [("com.openvpp.demo://callback", 400), (CLAIMED, 201), ("http://127.0.0.1:51234/callback", 201)],
)
def test_leave_to_spend_is_answered_at_no_scheme_that_any_app_can_take(
    app: flow.MobileApp, settings: Any, redirect_uri: str, status: int
) -> None:
    settings.OAUTH_PRIVATE_SCHEMES_MAY_SPEND = False
    app.application.redirect_uris += f" {CLAIMED}"
    app.application.save()
    app.redirect_uri = redirect_uri
    answer = app.push(**app.query())
    assert answer.status_code == status, answer.content
    assert models.PushedRequest.objects.count() == (status == 201)
    assert app.open_consent(flow.READING).status_code == 200
    if status == 201:
        assert app.redeem(app.get_code()).status_code == 200
    else:
        assert "that the app claimed" in answer.json()["error_description"]


def test_phones_are_told_which_apps_claim_addresses_here(settings: Any) -> None:
    addresses = ("/.well-known/apple-app-site-association", "/.well-known/assetlinks.json")
    for address in addresses:
        assert test.Client().get(address).status_code == 404
    settings.APPLE_APPS = ["TEAM.org.example.pay"]
    settings.ANDROID_APPS = [("org.example.pay", "AB:CD")]
    apple, android = (test.Client().get(address) for address in addresses)
    assert apple["Content-Type"] == android["Content-Type"] == "application/json"
    assert apple.json() == {
        "applinks": {"details": [{"appIDs": ["TEAM.org.example.pay"], "components": [{"/": "/app/*"}]}]},
        "webcredentials": {"apps": ["TEAM.org.example.pay"]},
    }
    (told,) = android.json()
    assert told["target"] == {
        "namespace": "android_app",
        "package_name": "org.example.pay",
        "sha256_cert_fingerprints": ["AB:CD"],
    }


def test_where_the_app_is_not_installed_its_address_tells_so_and_no_code() -> None:
    page = test.Client().get("/app/callback/?code=secret-code&state=x")
    text = page.content.decode()
    assert (page.status_code, "not installed" in text, "secret-code" in text) == (200, True, False)
    assert (page["Referrer-Policy"], "no-store" in page["Cache-Control"]) == ("no-referrer", True)
    assert "script" not in page["Content-Security-Policy"]
