"""JSON-RPC 2.0 over POST: one call, or a batch of at most MAX_CALLS."""

import json
import logging
from typing import Any

from django import http
from django.conf import settings
from django.views.decorators import csrf
from django.views.decorators import http as http_decorators

from openvpp.core import clock, errors
from relayer import models, queries
from relayer.domain import codes
from relayer.rpc import methods
from relayer.usecases import use_quota

logger = logging.getLogger(__name__)

MAX_CALLS = 50
MAX_BYTES = 1024 * 1024
_BEARER = "Bearer "
_WITHOUT_ANSWER = 204
_Code = codes.Code
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "60"}}


@csrf.csrf_exempt
@http_decorators.require_POST
def call(request: http.HttpRequest, chain_id: int) -> http.HttpResponse:
    """Answer what a key's holder calls; without a key nothing is said."""
    key = _key(request)
    if key is None:
        return _refuse(_Code.NOT_ALLOWED, "Send an API key that is not revoked as bearer token.", status=401)
    if chain_id != settings.CHAIN_ID or key.utility.chain_id != chain_id:
        return _refuse(_Code.BAD_PARAMETERS, "Unknown chain.", status=404)
    if int(request.headers.get("Content-Length") or 0) > MAX_BYTES:
        return _refuse(_Code.NO_REQUEST, "The body is too large.", status=413)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return _refuse(_Code.UNREADABLE, "The body is not JSON.")
    return _answer_all(methods.Caller(key=key, chain_id=chain_id, now=clock.get_now()), body)


def _answer_all(caller: methods.Caller, body: Any) -> http.HttpResponse:
    calls = body if isinstance(body, list) else [body]
    if not calls or len(calls) > MAX_CALLS:
        return _refuse(_Code.NO_REQUEST, f"A batch has 1 to {MAX_CALLS} calls.")
    try:
        use_quota.use(key=caller.key, quota=models.ApiKeyUsage.Quota.REQUESTS, count=len(calls), now=caller.now)
    except codes.RefusedCall as refusal:
        return _refuse(refusal.code, refusal.message, status=429)
    answers = [answer for each in calls if (answer := _answer(caller, each)) is not None]
    if not answers:
        return http.HttpResponse(status=_WITHOUT_ANSWER)
    return _response(answers if isinstance(body, list) else answers[0])


def _refuse(code: codes.Code, message: str, *, status: int = 200) -> http.HttpResponse:
    return _response(_error(None, codes.RefusedCall(code, message)), status=status, headers=_HEADERS.get(status))


def _key(request: http.HttpRequest) -> models.ApiKey | None:
    said = request.headers.get("Authorization", "")
    token = said.removeprefix(_BEARER) if said.startswith(_BEARER) else request.headers.get("X-Api-Key", "")
    return queries.find_api_key(token=token) if token else None


def _answer(caller: methods.Caller, asked: Any) -> dict[str, Any] | None:
    """Return the answer to one call, None to a notification."""
    if not isinstance(asked, dict) or asked.get("jsonrpc") != "2.0" or not isinstance(asked.get("method"), str):
        return _error(None, codes.RefusedCall(codes.Code.NO_REQUEST, "This is no JSON-RPC 2.0 request."))
    id_ = asked.get("id")
    if id_ is not None and not isinstance(id_, str | int | float):
        return _error(None, codes.RefusedCall(codes.Code.NO_REQUEST, "The id is no text and no number."))
    try:
        result = methods.answer(caller=caller, method=asked["method"], parameters=asked.get("params"))
        answer = {"jsonrpc": "2.0", "id": id_, "result": result}
    except codes.RefusedCall as refusal:
        answer = _error(id_, refusal)
    except (errors.Unreachable, errors.Refused) as error:
        logger.warning("%s for key %s: %s", asked["method"], caller.key.identifier, error)
        answer = _error(id_, codes.RefusedCall(codes.Code.INTERNAL, "Chain or signer do not answer. Try again."))
    except Exception:
        logger.exception("%s failed for key %s", asked["method"], caller.key.identifier)
        answer = _error(id_, codes.RefusedCall(codes.Code.INTERNAL, "This failed here, not at your side."))
    return answer if "id" in asked else None


def _error(id_: object, refusal: codes.RefusedCall) -> dict[str, Any]:
    error: dict[str, Any] = {"code": int(refusal.code), "message": refusal.message}
    if refusal.data is not None:
        error["data"] = dict(refusal.data)
    return {"jsonrpc": "2.0", "id": id_, "error": error}


def _response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> http.HttpResponse:
    body = json.dumps(content, separators=(",", ":"))
    return http.HttpResponse(body, status=status, content_type="application/json", headers=headers)
