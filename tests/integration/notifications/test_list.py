"""`/api/v1/notices/`: a person's own, after what they saw, and marked read once."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework import test

from tests.integration.notifications import conftest

World = conftest.World
Call = Callable[..., Any]


@pytest.fixture
def call(world: World) -> Call:
    def call(method: str, path: str, token: str | None = None, **query: str | int) -> Any:
        client = test.APIClient()
        if token:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client.get(path, query) if method == "get" else client.post(path, query, format="json")

    return call


def test_four_callers_of_the_list(world: World, call: Call) -> None:
    world.tell(world.ada, key="a", body="$84.12 is due")

    nobody = call("get", "/api/v1/notices/")
    wrong_scope = call("get", "/api/v1/notices/", world.token(world.ada, scope="bills:read"))
    another = call("get", "/api/v1/notices/", world.token(world.ben))
    right = call("get", "/api/v1/notices/", world.token(world.ada))

    assert (nobody.status_code, nobody["Content-Type"]) == (401, "application/problem+json")
    assert (wrong_scope.status_code, wrong_scope.json()["code"]) == (403, "insufficient_scope")
    assert (another.status_code, another.json()["results"]) == (200, [])
    assert right.status_code == 200
    assert right.json()["results"] == [
        {
            "sequence": 1,
            "kind": "bill.issued",
            "title": "Your bill is here",
            "body": "$84.12 is due",
            "data": {"bill_id": 1},
            "created_at": "2026-11-20T12:00:00Z",
            "read_at": None,
        }
    ]


def test_a_system_is_no_person(world: World, call: Call) -> None:
    world.application.client_type = "confidential"
    world.application.authorization_grant_type = "client-credentials"
    world.application.save()

    refused = call("get", "/api/v1/notices/", world.token(None))

    assert (refused.status_code, refused.json()["code"]) == (403, "person_required")


def test_pages_go_on_after_the_last_one_seen(world: World, call: Call) -> None:
    for number in range(7):
        world.tell(world.ada, key=str(number))
    token = world.token(world.ada)

    first = call("get", "/api/v1/notices/", token, after=2, page_size=3).json()
    second = call("get", first["next"], token).json()

    assert [notice["sequence"] for notice in first["results"]] == [3, 4, 5]
    assert [notice["sequence"] for notice in second["results"]] == [6, 7]
    assert second["next"] is None


@pytest.mark.parametrize("after", ["-1", "x", "9" * 30])
def test_after_must_be_a_sequence(world: World, call: Call, after: str) -> None:
    refused = call("get", "/api/v1/notices/", world.token(world.ada), after=after)

    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
    assert list(refused.json()["errors"]) == ["after"]


def test_four_callers_of_mark_read(world: World, call: Call) -> None:
    world.tell(world.ada, key="a")
    path = "/api/v1/notices/1/read/"

    assert call("post", path).status_code == 401
    assert call("post", path, world.token(world.ada, scope="bills:read")).status_code == 403
    assert call("post", path, world.token(world.ben)).status_code == 404
    assert not world.ada.notices.filter(read_at__isnull=False).exists()

    token = world.token(world.ada)
    first, again = call("post", path, token), call("post", path, token)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["read_at"] is not None
    assert again.json()["read_at"] == first.json()["read_at"]
