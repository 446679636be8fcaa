"""Google and Apple are offered where the environment names them."""

import os
import subprocess
import sys

import pytest
from django.core import exceptions

from openvpp.settings import social

GOOGLE = {"GOOGLE_CLIENT_ID": "google-client", "GOOGLE_CLIENT_SECRET": "google secret"}
APPLE = {"APPLE_CLIENT_ID": "app.client", "APPLE_TEAM_ID": "TEAM", "APPLE_KEY_ID": "KEY", "APPLE_PRIVATE_KEY": "PEM"}
SHOWN = """
import django; django.setup()
from django import test, urls
from django.conf import settings
print(sorted(settings.SOCIALACCOUNT_PROVIDERS))
for name in ("google_login", "apple_login"):
    try: print(urls.reverse(name))
    except urls.NoReverseMatch: print("absent")
"""


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*GOOGLE, *APPLE):
        monkeypatch.delenv(name, raising=False)


def test_without_names_there_is_none() -> None:
    assert social.providers() == {}


def test_each_takes_its_names_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (GOOGLE | APPLE).items():
        monkeypatch.setenv(name, value)
    found = social.providers()
    assert found["google"]["APPS"][0] == {"client_id": "google-client", "secret": "google secret", "key": ""}
    assert found["google"]["OAUTH_PKCE_ENABLED"] is True
    (apple,) = found["apple"]["APPS"]
    assert (apple["client_id"], apple["key"], apple["secret"]) == ("app.client", "TEAM", "KEY")
    assert apple["settings"] == {"certificate_key": "PEM"}


@pytest.mark.parametrize("missing", ["GOOGLE_CLIENT_SECRET", "APPLE_TEAM_ID", "APPLE_PRIVATE_KEY"])
def test_half_named_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name, value in (GOOGLE | APPLE).items():
        if name != missing:
            monkeypatch.setenv(name, value)
    with pytest.raises(exceptions.ImproperlyConfigured, match=missing):
        social.providers()


def test_only_what_is_named_has_an_address() -> None:
    kept = {name: value for name, value in os.environ.items() if name not in GOOGLE | APPLE}
    environment = kept | {"DJANGO_SETTINGS_MODULE": "openvpp.settings.test"} | GOOGLE
    said = subprocess.run(
        [sys.executable, "-c", SHOWN], env=environment, capture_output=True, check=True, text=True, timeout=120
    ).stdout
    assert said.split("\n")[:3] == ["['google']", "/accounts/google/login/", "absent"]
