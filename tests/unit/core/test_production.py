"""Settings behind a proxy."""

from typing import Any

from allauth.account import adapter
from django import test

from openvpp.settings import production


def test_guesses_are_counted_by_the_address_that_our_proxy_saw(settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = production.ALLAUTH_TRUSTED_PROXY_COUNT
    forged = test.RequestFactory().get(
        "/", headers={"X-Forwarded-For": "198.51.100.66, 203.0.113.7"}, REMOTE_ADDR="10.0.0.2"
    )
    assert adapter.get_adapter().get_client_ip(forged) == "203.0.113.7"
    assert adapter.get_adapter().get_client_ip(test.RequestFactory().get("/", REMOTE_ADDR="10.0.0.2")) == "10.0.0.2"
