"""The authorization server over real HTTP, as the address that its metadata names."""

from typing import Any

import pytest
from pytest_django import live_server_helper

from tests.integration.oauth import conftest

signer, wallet, app = conftest.signer, conftest.wallet, conftest.app


@pytest.fixture
def issuer(live_server: live_server_helper.LiveServer, settings: Any) -> str:
    """Serve, and name the server by the address that it is served at."""
    settings.ISSUER = live_server.url
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": live_server.url}
    return str(live_server.url)
