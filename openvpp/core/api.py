"""What every REST endpoint shares: problem documents (RFC 9457) and requests that act once."""

import functools
import operator
from collections.abc import Callable
from typing import Any, cast

from django import http
from django.core import exceptions as django_exceptions
from django.db import models as db_models
from rest_framework import exceptions, response, serializers, views
from rest_framework import request as drf_request

from openvpp.core import clock, errors, idempotency

PROBLEM_TYPE = "https://openvpp.org/problems/"
PROBLEM_MEDIA_TYPE = "application/problem+json"
UNSIGNED = "Send `Authorization: Bearer` with an access token; the authorization endpoint is /oauth/authorize/."


def act_once(
    request: drf_request.Request,
    act: Callable[[], tuple[int, Any]],
    resume: Callable[[], tuple[int, Any] | None] | None = None,
) -> response.Response:
    """Answer a money-moving request by its `Idempotency-Key` header.

    :raises errors.Invalid: no key, or one over 200 characters.
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY", "")
    if not key or len(key) > idempotency.MAX_KEY_LENGTH:
        raise errors.Invalid(
            "Send an Idempotency-Key header of 1 to 200 characters, new for each wish and the same for each retry.",
            code="idempotency_key_required",
        )
    status, body = idempotency.answer_once(
        user_id=getattr(request.user, "pk", None),
        application_id=request.auth.application_id,  # type: ignore[union-attr]  # HasScopes saw the token
        key=key,
        method=request.method or "",
        path=request.path,
        body=dict(request.data),
        now=clock.get_now(),
        act=act,
        resume=resume,
    )
    return response.Response(body, status=status)


def show(kind: Callable[[], serializers.BaseSerializer[Any]], value: Any) -> Any:
    """Return what a serializer makes of a value whose attributes its fields name.

    To make the serializer anew costs ten times as much as to ask it, and four times as much again what it finds out
    for each value: whether that is a mapping, and its attributes methods.
    """
    return _writer(kind)(value)


def read(kind: Callable[[], serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return the valid input.

    :raises serializers.ValidationError: some fields are wrong.
    """
    valid: dict[str, Any] = _kept(kind).run_validation(data)
    return valid


@functools.cache
def _kept(kind: Callable[[], Any]) -> Any:
    return kind()


@functools.cache
def _writer(kind: Callable[[], Any]) -> Callable[[Any], Any]:
    return _write(_kept(kind))


def _write(field: Any) -> Callable[[Any], Any]:
    if isinstance(field, serializers.ListSerializer):
        one = _write(field.child)
        return lambda rows: [one(row) for row in (rows.all() if isinstance(rows, db_models.Manager) else rows)]
    if type(field).to_representation is not serializers.Serializer.to_representation:
        return cast("Callable[[Any], Any]", field.to_representation)
    parts = [(name, _read(part), _write(part)) for name, part in field.fields.items() if not part.write_only]

    def write(value: Any) -> dict[str, Any]:
        shown = {}
        for name, get, represent in parts:
            part = get(value)
            shown[name] = None if part is None else represent(part)
        return shown

    return write


def _read(field: Any) -> Callable[[Any], Any]:
    return operator.attrgetter(field.source) if field.source != "*" else lambda value: value


def problem_handler(error: Exception, _context: dict[str, Any]) -> response.Response | None:
    """Turn an error into a problem document; None lets Django answer 500."""
    if isinstance(error, errors.UnableTo):
        return response.Response(
            problem(status=error.status, code=error.code, detail=error.detail) | error.extra,
            status=error.status,
            content_type=PROBLEM_MEDIA_TYPE,
        )
    if isinstance(error, errors.Unreachable):
        error = exceptions.APIException("A part of the service is not reachable now. Try again shortly.", "unreachable")
        error.status_code = 503
    if isinstance(error, http.Http404):
        error = exceptions.NotFound()
    if isinstance(error, django_exceptions.PermissionDenied):
        error = exceptions.PermissionDenied()
    views.set_rollback()
    if not isinstance(error, exceptions.APIException):
        return None
    headers: dict[str, str] = {}
    if (challenge := getattr(error, "auth_header", None)) is not None:
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    body = problem(status=error.status_code, code=_code(error), detail=_detail(error))
    if isinstance(error, exceptions.ValidationError):
        body["errors"] = error.detail
    return response.Response(body, status=error.status_code, headers=headers, content_type=PROBLEM_MEDIA_TYPE)


def problem(*, status: int, code: str, detail: str) -> dict[str, Any]:
    """Return the members of a problem document."""
    return {
        "type": f"{PROBLEM_TYPE}{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }


def _code(error: exceptions.APIException) -> str:
    if isinstance(error, exceptions.ValidationError):
        return "invalid_input"
    codes = error.get_codes()
    return codes if isinstance(codes, str) else error.default_code


def _detail(error: exceptions.APIException) -> str:
    if isinstance(error, exceptions.ValidationError):
        return "Some fields are wrong; `errors` names each one."
    if isinstance(error, exceptions.NotAuthenticated):
        return UNSIGNED
    return str(error.detail)
