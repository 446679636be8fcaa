"""A utility, two customers, a system, and their tokens."""

import dataclasses
import datetime
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from customers import models as customer_models
from notifications import models, operations
from openvpp.core import db
from openvpp.stack import layout
from wallets import models as wallet_models

NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
TREASURY = "0x" + "11" * 20


@dataclasses.dataclass
class World:
    utility: customer_models.Utility
    application: wallet_models.Application
    ada: customer_models.User
    ben: customer_models.User

    def token(self, user: customer_models.User | None, scope: str = "notices:read", seconds: float = 600) -> str:
        """Return a fresh access token."""
        token = secrets.token_urlsafe(32)
        wallet_models.AccessToken.objects.create(
            user=user,
            application=self.application,
            token=token,
            scope=scope,
            expires=datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds),
        )
        return token

    def tell(self, *users: customer_models.User, key: str, body: str = "", now: datetime.datetime = NOW) -> None:
        """Tell people of a bill, in the open transaction or one of its own."""
        with db.transaction_if_not_already():
            operations.tell(
                user_ids=[user.pk for user in users],
                utility_id=self.utility.pk,
                kind=models.Notice.Kind.BILL_ISSUED,
                key=key,
                title="Your bill is here",
                body=body,
                data={"bill_id": 1},
                now=now,
            )


@pytest.fixture
def world(transactional_db: None) -> World:
    utility = customer_models.Utility.objects.create(
        slug="elm", name="Elm Electric", chain_id=31337, treasury_address=TREASURY
    )
    application = wallet_models.Application.objects.create(
        client_id=f"phone-{secrets.token_hex(4)}",
        client_type="public",
        authorization_grant_type="authorization-code",
        redirect_uris="com.openvpp.demo://callback",
        name="Phone",
        utility=utility,
        allowed_scopes="notices:read bills:read",
    )
    ada, ben = (
        customer_models.User.objects.create_user(f"{name}@example.com", "correct horse") for name in ("ada", "ben")
    )
    return World(utility=utility, application=application, ada=ada, ben=ben)


@pytest.fixture
async def released(world: World) -> AsyncIterator[None]:
    """Close the connections of the thread in which coroutines reach the database."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[str]:
    """The web process itself, on the tests' database; `host:port`."""
    port = layout.free_port()
    url = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "openvpp.settings.test",
        "DATABASE_URL": url._replace(path=f"/{connection.settings_dict['NAME']}").geturl(),
    }
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning", "openvpp.asgi:application"], env=environment)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)
