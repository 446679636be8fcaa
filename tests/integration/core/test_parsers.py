"""JSON that is too large or too deep is refused with a reason, by every endpoint, before anything is made of it."""

from typing import Any

import pytest
from django import test
from django.conf import settings

from tests.factories import customers, wallets

pytestmark = pytest.mark.django_db


def send(body: str) -> Any:
    token = wallets.AccessToken.create(user=customers.Customer.create().user, scope="devices:write")
    return test.Client().post(
        "/api/v1/devices/",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {token.token}"},
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"name": "' + "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + '"}', 400, "bad_request"),
        ("[" * 500_000, 400, "parse_error"),
        ('{"name": ', 400, "parse_error"),
        ('{"name": "' + "x" * 1_000_000 + '"}', 400, "invalid_input"),
    ],
    ids=["too large", "too deep", "not JSON", "large enough to be read"],
)
def test_what_is_refused_says_why(body: str, status: int, code: str) -> None:
    answer = send(body)
    assert (answer.status_code, answer.headers["Content-Type"], answer.json()["code"]) == (
        status,
        "application/problem+json",
        code,
    )
