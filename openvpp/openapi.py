"""What the description of the API says of every operation alike: who may call, and how it refuses."""

import http as http_status
from typing import Any

from django.conf import settings
from drf_spectacular import extensions, openapi
from rest_framework import generics, serializers

from openvpp.core import api

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A problem document (RFC 9457). `code` is stable; `detail` is for people.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": True, "description": "What is wrong, by field."},
    },
    "required": ["type", "title", "status", "code", "detail"],
    "additionalProperties": True,
}
FIRST_REFUSAL = "400"
PLAIN_NAMES = frozenset({"Input", "Output"})
EXAMPLES = {
    400: ("invalid_input", "Some fields are wrong; `errors` names each one."),
    401: ("not_authenticated", api.UNSIGNED),
    403: ("insufficient_scope", "The access token lacks the scope that this operation asks for."),
    404: ("not_found", "There is no such thing, or none that this caller may know of."),
    409: ("idempotency_key_in_use", "The first request with this Idempotency-Key is still being answered."),
    422: ("idempotency_key_reused", "This Idempotency-Key was used with another body."),
    429: ("throttled", "Too many requests; Retry-After says when to try again."),
    503: ("unreachable", "A part of the service is not reachable now. Try again shortly."),
}


class AutoSchema(openapi.AutoSchema):
    """Names a view's nested serializers after the view: `ShowBill.Output` becomes `ShowBillOutput`."""

    def get_serializer_name(self, serializer: serializers.Serializer[Any], direction: str) -> str:
        """Return a component's name; one that says nothing by itself is led by its module, or by its app."""
        kind = type(serializer)
        name = kind.__qualname__.replace(".", "")
        if kind.__qualname__ in PLAIN_NAMES:
            *_, app, _room, module = kind.__module__.split(".")
            name = (app if module == "views" else module).capitalize() + name
        return name

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Say whether it answers pages: also a view that writes `get` itself and pages what it finds."""
        is_paged = isinstance(self.view, generics.GenericAPIView) and self.method == "GET" and "{" not in self.path
        return is_paged or bool(super()._is_list_view(serializer))


class AccessTokenScheme(extensions.OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """An access token by authorization code with PKCE (people) or client credentials (a utility's systems)."""

    target_class = "wallets.oauth.authentication.AccessToken"
    name = "oauth2"
    priority = 1

    def get_security_requirement(self, auto_schema: openapi.AutoSchema) -> dict[str, list[Any]]:
        return {self.name: list(getattr(auto_schema.view, "required_scopes", []))}

    def get_security_definition(self, auto_schema: openapi.AutoSchema) -> dict[str, Any]:
        scopes: dict[str, str] = settings.OAUTH2_PROVIDER["SCOPES"]  # type: ignore[assignment] # a dictionary of many kinds
        return {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": "/oauth/authorize/",
                    "tokenUrl": "/oauth/token/",
                    "refreshUrl": "/oauth/token/",
                    "scopes": {name: words for name, words in scopes.items() if "(utility systems)" not in words},
                },
                "clientCredentials": {
                    "tokenUrl": "/oauth/token/",
                    "scopes": {name: words for name, words in scopes.items() if "(utility systems)" in words},
                },
            },
        }


def add_problems(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Postprocessing hook: name the refusals that every operation of its kind may answer."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    components["responses"] = {f"Problem{status}": _problem_response(status) for status in EXAMPLES}
    for path, operations in result.get("paths", {}).items():
        for operation in operations.values():
            for status in _refusals(path, operation):
                operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
            operation["responses"] = {
                status: _as_problem(response) if status >= FIRST_REFUSAL else response
                for status, response in sorted(operation["responses"].items())
            }
    return result


def _refusals(path: str, operation: dict[str, Any]) -> list[int]:
    refusals = [503]
    if any(operation.get("security") or []):
        refusals += [401, 403]
    if "{" in path:
        refusals.append(404)
    if "requestBody" in operation or operation.get("parameters"):
        refusals.append(400)
    if any(parameter.get("name") == "Idempotency-Key" for parameter in operation.get("parameters", [])):
        refusals += [409, 422]
    return refusals


def _as_problem(response: dict[str, Any]) -> dict[str, Any]:
    """Return a refusal that a view describes itself in the media type in which it is sent."""
    content = response.get("content", {})
    if "application/json" not in content:
        return response
    described = content["application/json"] | {"schema": {"$ref": "#/components/schemas/Problem"}}
    return response | {"content": {"application/problem+json": described}}


def _problem_response(status: int) -> dict[str, Any]:
    code, detail = EXAMPLES[status]
    example = {
        "type": f"https://openvpp.org/problems/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return {
        "description": http_status.HTTPStatus(status).phrase,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
        },
    }
