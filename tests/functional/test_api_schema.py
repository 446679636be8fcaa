"""The committed description of the API says what the code does, of every operation."""

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
SCHEMA: dict[str, Any] = yaml.safe_load(FILE.read_text())
OPEN_TO_ALL = {"provider_webhooks_receive"}
PROMISED = {
    "me", "accounts", "accounts/claim", "wallet", "wallet/balances", "wallet/activity", "wallet/grants",
    "wallet/grants/{}", "usage", "meter-imports", "bills", "bills/{}", "bills/{}/quotes", "bills/{}/payments",
    "bills/received", "payments", "payments/{}", "operations/{}", "notices", "notices/{}/read", "devices",
    "devices/{}", "programs", "programs/{}", "enrollments", "enrollments/{}", "events", "payouts",
    "providers/{}/webhooks",
}  # fmt: skip


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in SCHEMA["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_promised_address_is_there() -> None:
    found = {re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1/")).strip("/") for path in SCHEMA["paths"]}

    assert found >= PROMISED


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_every_operation_says_who_may_call_and_how_it_refuses(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert operation["tags"]
    if operation["operationId"] in OPEN_TO_ALL:
        assert "security" not in operation
        return
    (requirement,) = operation["security"]
    assert set(requirement["oauth2"]) <= set(settings.OAUTH_SCOPES)
    # What third parties may read is in their token's function blocks, which no list of scopes can name.
    assert requirement["oauth2"] or path.startswith("/espi/")
    for status in ("401", "403", "503"):
        assert "application/problem+json" in _resolved(operation["responses"][status])["content"]
    if "{" in path:
        assert "404" in operation["responses"]


def test_every_list_is_paged() -> None:
    lists = [operation for method, path, operation in operations() if operation["operationId"].endswith("_list")]

    assert len(lists) >= 8
    for operation in lists:
        content = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert content["$ref"].startswith("#/components/schemas/Paginated")
        assert {"cursor", "page_size"} <= {parameter["name"] for parameter in operation["parameters"]}


def test_money_moves_only_under_an_idempotency_key() -> None:
    for operation_id in ("bills_pay", "bills_receive"):
        operation = next(one for _, _, one in operations() if one["operationId"] == operation_id)
        key = next(one for one in operation["parameters"] if one["name"] == "Idempotency-Key")
        assert (key["in"], key["required"]) == ("header", True)
        assert {"409", "422"} <= set(operation["responses"])


@pytest.mark.django_db
def test_nobody_gets_a_challenge_and_a_problem_document_from_every_operation(client: Client) -> None:
    for method, path, operation in operations():
        if operation["operationId"] in OPEN_TO_ALL:
            continue
        address = path
        for parameter in operation.get("parameters", []):
            named = "1" if parameter["schema"]["type"] == "integer" else "3fa85f64-5717-4562-b3fc-2c963f66afa6"
            address = address.replace(f"{{{parameter['name']}}}", named)
        answer = client.generic(method.upper(), address, content_type="application/json")
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json"), address
        assert answer["WWW-Authenticate"].startswith("Bearer")


def _resolved(response: dict[str, Any]) -> dict[str, Any]:
    reference = response.get("$ref")
    found: dict[str, Any] = SCHEMA["components"]["responses"][reference.rsplit("/", 1)[1]] if reference else response
    return found
