"""The web process itself answers REST on the port of the sockets, request bodies included."""

import json
import urllib.error
import urllib.request

import pytest

from tests.integration.notifications import conftest


def test_a_body_reaches_the_view(server: str, world: conftest.World) -> None:
    world.tell(world.ada, key="a")
    request = urllib.request.Request(
        f"http://{server}/api/v1/notices/1/read/",
        data=json.dumps({"padding": "x" * 100_000}).encode(),
        headers={"Authorization": f"Bearer {world.token(world.ada)}", "Content-Type": "application/json"},
    )

    with urllib.request.urlopen(request, timeout=10) as answer:
        notice = json.load(answer)

    assert notice["sequence"] == 1
    assert notice["read_at"] is not None


def test_a_form_reaches_the_token_endpoint(server: str, world: conftest.World) -> None:
    request = urllib.request.Request(f"http://{server}/oauth/token/", data=b"grant_type=client_credentials")

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)

    assert (refused.value.code, json.load(refused.value)["error"]) == (401, "invalid_client")
