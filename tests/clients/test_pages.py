"""Pages of customers in a real browser: axe finds nothing, on a phone and on a desk, in both languages.

With `UPDATE_IMAGES=1` the pictures in docs are taken anew.
"""

import os
import pathlib

import pytest

from tests.clients import chromium
from tests.integration.oauth import flow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        chromium.BINARY is None, reason="no chromium in PATH (Debian and Ubuntu: `apt install chromium`)"
    ),
]

IMAGES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "images"
SHOWN = ("sign-in", "sign-up", "second-factor", "consent", "connected-apps", "devices")
SIZES = {"phone": chromium.PHONE, "desktop": chromium.DESKTOP}


LONG_NAME = "The Consolidated Municipal Light, Power & Water Cooperative of Upper Harbor County and Vicinity"


def test_axe_finds_no_violation_on_phone_and_desk(app: flow.MobileApp, issuer: str, tmp_path: pathlib.Path) -> None:
    consent = f"/oauth/authorize/?consent={flow.consent_id(app.open_consent())}"
    app.get_tokens()
    app.get_tokens(flow.READING)
    cookies = {"sessionid": app.browser.cookies["sessionid"].value}
    onward = f"%2Foauth%2Fauthorize%2F%3Fclient_id%3D{app.application.client_id}"
    for_strangers = [
        ("sign-in", f"/accounts/login/?next={onward}"),
        ("sign-up", f"/accounts/signup/?next={onward}"),
        ("forgotten-password", "/accounts/password/reset/"),
        ("untrusted", "/oauth/authorize/?client_id=nobody"),
    ]
    for_people = [
        ("consent", consent),
        ("connected-apps", "/accounts/apps/"),
        ("devices", "/accounts/devices/"),
        ("second-factor", "/accounts/2fa/"),
        ("prove-again", "/accounts/reauthenticate/?next=/accounts/apps/"),
        ("new-password", "/accounts/password/change/"),
        ("addresses", "/accounts/email/"),
        ("signing-out", "/accounts/logout/"),
        ("closing", "/accounts/closing/"),
    ]
    found: list[tuple[str, str, str]] = []
    with chromium.tab(tmp_path) as tab:

        def look(name: str, path: str, size_name: str, locale: str) -> None:
            tab.open(f"{issuer}{path}", size=SIZES[size_name], cookies={}, locale=locale)
            assert tab.evaluate("document.querySelector('h1').innerText")
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, size_name)
            found.extend((name, size_name, violation) for violation in tab.violations())
            language = "" if locale == "en-US" else f"-{locale}"
            picture = IMAGES / f"{name}-{size_name}{language}.png"
            if os.environ.get("UPDATE_IMAGES") == "1" and (picture.exists() or name in SHOWN):
                picture.write_bytes(tab.picture())

        for pages, held in ((for_strangers, {}), (for_people, cookies)):
            tab.do("Network.clearBrowserCookies")
            for name, value in held.items():
                tab.do("Network.setCookie", name=name, value=value, url=issuer)
            for name, path in pages:
                look(name, path, "phone", "en-US")
                look(name, path, "desktop", "en-US")
                look(name, path, "phone", "es")
        app.application.utility.name = LONG_NAME
        app.application.utility.save()
        another = flow.consent_id(app.open_consent())
        tab.open(f"{issuer}/oauth/authorize/?consent={another}", size=chromium.PHONE, cookies={}, locale="es")
        assert LONG_NAME in tab.evaluate("document.querySelector('h1').innerText")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found += [("a long name", "phone", violation) for violation in tab.violations()]
    assert found == []
