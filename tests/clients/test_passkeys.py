"""A passkey in a real browser: added, signed in with by itself, asked again before higher limits, and taken away.

The key is a virtual one of the browser's own (CDP, WebAuthn), which verifies its user; the pages are the ones that
people see, with the scripts that they come with.
"""

import pathlib
import time

import pytest
from allauth.mfa import models as mfa_models

from tests.clients import chromium
from tests.integration.oauth import flow
from wallets import models

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        chromium.BINARY is None, reason="no chromium in PATH (Debian and Ubuntu: `apt install chromium`)"
    ),
]

PASSWORD = "correct horse battery"
WITHIN_S = 30
HIGHER = {"per_payment": "900", "per_period": "1000.01", "total": "6000", "days": "90"}


def wait_for(tab: chromium.Page, path: str) -> None:
    """Wait until the tab has gone where the path says, and is there."""
    deadline = time.monotonic() + WITHIN_S
    while tab.evaluate("[location.pathname, document.readyState]") != [path, "complete"]:
        assert time.monotonic() < deadline, tab.evaluate("location.href + document.body.innerText")
        time.sleep(0.05)


def press(tab: chromium.Page, selector: str) -> None:
    tab.evaluate(f"document.querySelector({selector!r}).click()")


def fill(tab: chromium.Page, **fields: str) -> None:
    """Fill in a form and send it."""
    for name, value in fields.items():
        tab.evaluate(f"document.querySelector('[name={name}]').value = {value!r}")
    press(tab, "form button.main")


def has_a_key(tab: chromium.Page) -> None:
    """Give the browser a key that knows its user, as a phone's own."""
    tab.do("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    tab.do("WebAuthn.addVirtualAuthenticator", options=options)


def test_a_passkey_is_added_signs_in_by_itself_and_confirms_higher_limits(
    app: flow.MobileApp, issuer: str, tmp_path: pathlib.Path
) -> None:
    with chromium.tab(tmp_path) as tab:
        has_a_key(tab)
        tab.open(f"{issuer}/accounts/login/?next=/accounts/2fa/webauthn/add/", size=chromium.PHONE, cookies={})
        fill(tab, login=app.user.email, password=PASSWORD)
        wait_for(tab, "/accounts/reauthenticate/")  # a key is added by who proves again that it is theirs to add
        fill(tab, password=PASSWORD)
        wait_for(tab, "/accounts/2fa/webauthn/add/")
        assert tab.violations() == []
        tab.evaluate("document.querySelector('[name=passwordless]').checked = true")
        press(tab, "#mfa_webauthn_add")
        wait_for(tab, "/accounts/2fa/recovery-codes/")
        assert tab.violations() == []
        (key,) = mfa_models.Authenticator.objects.filter(type="webauthn")
        assert key.wrap().is_passwordless

        tab.do("Network.clearBrowserCookies")
        tab.open(f"{issuer}/accounts/login/?next=/accounts/devices/", size=chromium.PHONE, cookies={})
        press(tab, "#passkey_login")
        wait_for(tab, "/accounts/devices/")
        assert tab.evaluate("document.querySelector('h1').innerText") == "Your devices"

        cookies = {each["name"]: each["value"] for each in tab.do("Network.getCookies")["cookies"]}
        app.browser.cookies["sessionid"] = cookies["sessionid"]
        higher = app.answer(app.open_consent(), "change", **HIGHER)
        tab.open(f"{issuer}/oauth/authorize/?consent={flow.consent_id(higher)}", size=chromium.PHONE, cookies={})
        press(tab, "button[value=allow]")
        wait_for(tab, "/accounts/reauthenticate/")
        assert not models.SessionKeyGrant.objects.exists()
        assert tab.violations() == []
        press(tab, "a[href^='/accounts/2fa/webauthn/reauthenticate/']")
        wait_for(tab, "/accounts/2fa/webauthn/reauthenticate/")
        press(tab, "#mfa_webauthn_reauthenticate")
        wait_for(tab, "/oauth/authorize/")
        press(tab, "button[value=allow]")
        deadline = time.monotonic() + WITHIN_S
        while not models.Grant.objects.exists():
            assert time.monotonic() < deadline, tab.evaluate("document.body.innerText")
            time.sleep(0.05)
        assert models.SessionKeyGrant.objects.get().limit_per_period_units == 1_000_010_000
