"""Settings behind a proxy."""

import importlib
import sys
import types
from typing import Any

import pytest
from allauth.account import adapter
from django import test
from django.core import exceptions

GIVEN = {
    "ALLOWED_HOSTS": "pay.example",
    "BASE_URL": "https://pay.example",
    "EMAIL_HOST": "smtp.example",
    "EMAIL_FROM": "accounts@pay.example",
}


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> types.ModuleType:
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "openvpp.settings.production", raising=False)
    return importlib.import_module("openvpp.settings.production")


def test_guesses_are_counted_by_the_address_that_our_proxy_saw(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    production = load(monkeypatch, **GIVEN)
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = production.ALLAUTH_TRUSTED_PROXY_COUNT
    forged = test.RequestFactory().get(
        "/", headers={"X-Forwarded-For": "198.51.100.66, 203.0.113.7"}, REMOTE_ADDR="10.0.0.2"
    )
    assert adapter.get_adapter().get_client_ip(forged) == "203.0.113.7"
    assert adapter.get_adapter().get_client_ip(test.RequestFactory().get("/", REMOTE_ADDR="10.0.0.2")) == "10.0.0.2"


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_what_has_no_default_is_asked_for_by_name(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: value for name, value in GIVEN.items() if name != missing}
    with pytest.raises(exceptions.ImproperlyConfigured, match=missing):
        load(monkeypatch, **given)
