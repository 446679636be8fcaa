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
SIZES = {"phone": chromium.PHONE, "desktop": chromium.DESKTOP}


def test_axe_finds_no_violation_on_phone_and_desk(app: flow.MobileApp, issuer: str, tmp_path: pathlib.Path) -> None:
    consent = f"/oauth/authorize/?consent={flow.consent_id(app.open_consent())}"
    app.get_tokens()
    app.get_tokens(flow.READING)
    cookies = {"sessionid": app.browser.cookies["sessionid"].value}
    onward = f"%2Foauth%2Fauthorize%2F%3Fclient_id%3D{app.application.client_id}"
    pages = [
        ("sign-in", f"/accounts/login/?next={onward}", {}, "en-US"),
        ("consent", consent, cookies, "en-US"),
        ("connected-apps", "/accounts/apps/", cookies, "en-US"),
        ("devices", "/accounts/devices/", cookies, "en-US"),
        ("closing", "/accounts/closing/", cookies, "en-US"),
        ("consent", consent, cookies, "es"),
        ("devices", "/accounts/devices/", cookies, "es"),
        ("closing", "/accounts/closing/", cookies, "es"),
    ]
    found: list[tuple[str, str, str]] = []
    with chromium.tab(tmp_path) as tab:
        for name, path, cookies_of_page, locale in pages:
            for size_name, size in SIZES.items():
                tab.open(f"{issuer}{path}", size=size, cookies=cookies_of_page, locale=locale)
                assert tab.evaluate("document.querySelector('h1').innerText")
                assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, size_name)
                found += [(name, size_name, violation) for violation in tab.violations()]
                language = "" if locale == "en-US" else f"-{locale}"
                if os.environ.get("UPDATE_IMAGES") == "1":
                    (IMAGES / f"{name}-{size_name}{language}.png").write_bytes(tab.picture())
    assert found == []
