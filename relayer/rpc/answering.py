"""JSON-RPC 2.0: what is asked over HTTP, by however many at once, and what each is answered.

A request is one call or a batch of at most MAX_CALLS. Of all that is asked together the operations that are sent go
into the pool together (`receive_operation`).
"""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django import db as django_db
from django.conf import settings

from openvpp.core import clock, errors, json_rpc, tally
from relayer import models, queries
from relayer.domain import codes
from relayer.rpc import methods
from relayer.usecases import count_up, receive_operation, use_quota

logger = logging.getLogger(__name__)

MAX_CALLS = 50
MAX_BYTES = 1024 * 1024
SEND = "eth_sendUserOperation"
_BEARER = "Bearer "
_Code = codes.Code
_UNAUTHORIZED, _NOT_FOUND, _TOO_LARGE, _TOO_MANY, _BROKEN, _NO_CONTENT, _OK = 401, 404, 413, 429, 503, 204, 200
_HEADERS = {_UNAUTHORIZED: {"WWW-Authenticate": "Bearer"}, _TOO_MANY: {"Retry-After": "60"}}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came in: the key's token, the chain in the address, and the body, already parsed."""

    token: str
    chain_id: int
    body: Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes out; `body` is empty where nothing is said."""

    status: int
    body: bytes
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(slots=True, kw_only=True)
class _Open:
    """A request whose key is known, and the answers to its calls so far."""

    caller: methods.Caller
    calls: Sequence[Any]
    is_batch: bool
    answers: dict[int, dict[str, Any] | None] = dataclasses.field(default_factory=dict)


class Unreadable(Exception):
    """A request is answered at once, without a look at who asks."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def read(*, authorization: str, api_key: str, chain_id: int, content: bytes) -> Request:
    """Return what a client asks.

    :raises Unreadable: without a token, too large, or no JSON.
    """
    token = authorization.removeprefix(_BEARER) if authorization.startswith(_BEARER) else api_key
    if not token:
        raise Unreadable(_unauthorized())
    if len(content) > MAX_BYTES:
        raise Unreadable(too_large())
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable(_refuse(_Code.UNREADABLE, "The body is not JSON.")) from None
    return Request(token=token, chain_id=chain_id, body=body)


def sends_only(request: Request) -> bool:
    """Say whether a request brings nothing but operations."""
    calls = request.body if isinstance(request.body, list) else [request.body]
    return all(isinstance(each, dict) and each.get("method") == SEND for each in calls)


def answer_together(requests: Sequence[Request]) -> list[Response]:
    """Return the answers to requests that came together, in their order."""
    now = clock.get_now()
    keys = queries.find_api_keys(tokens={each.token for each in requests})
    answers: list[Response | _Open] = []
    for each in requests:
        key = keys.get(each.token)
        answers.append(
            _unauthorized() if key is None else _admit(each, methods.Caller(key=key, chain_id=each.chain_id, now=now))
        )
    _use_quotas(answers)
    opened = [each for each in answers if isinstance(each, _Open)]
    _send_together(opened)
    answered = [each if isinstance(each, Response) else _finish(each) for each in answers]
    count_up.write_down(now=now)
    return answered


def too_large() -> Response:
    """Return the answer to a body of more than MAX_BYTES."""
    return _refuse(_Code.NO_REQUEST, "The body is too large.", status=_TOO_LARGE)


def nothing_there() -> Response:
    """Return the answer at any other address."""
    return _refuse(_Code.BAD_PARAMETERS, "The bundler is at /rpc/v1/<chain id>; POST to it.", status=_NOT_FOUND)


def broken() -> Response:
    """Return the answer when the database is away."""
    return _refuse(_Code.INTERNAL, "This failed here, not at your side. Try again.", status=_BROKEN)


def _unauthorized() -> Response:
    return _refuse(_Code.NOT_ALLOWED, "Send an API key that is not revoked as bearer token.", status=_UNAUTHORIZED)


def _admit(request: Request, caller: methods.Caller) -> Response | _Open:
    if request.chain_id != settings.CHAIN_ID or caller.key.utility.chain_id != request.chain_id:
        return _refuse(_Code.BAD_PARAMETERS, "Unknown chain.", status=_NOT_FOUND)
    calls = request.body if isinstance(request.body, list) else [request.body]
    if not calls or len(calls) > MAX_CALLS:
        return _refuse(_Code.NO_REQUEST, f"A batch has 1 to {MAX_CALLS} calls.")
    return _Open(caller=caller, calls=calls, is_batch=isinstance(request.body, list))


def _use_quotas(answers: list[Response | _Open]) -> None:
    """Count the calls of each key together; if that is too much, one request after another."""
    by_key: dict[int, list[_Open]] = {}
    for each in answers:
        if isinstance(each, _Open):
            by_key.setdefault(each.caller.key.pk, []).append(each)
    for group in by_key.values():
        if _use_quota(group) is None:
            continue
        for each in group:
            refusal = _use_quota([each])
            if refusal is not None:
                answers[answers.index(each)] = _refuse(refusal.code, refusal.message, status=_TOO_MANY)


def _use_quota(group: Sequence[_Open]) -> codes.RefusedCall | None:
    caller, count = group[0].caller, sum(len(each.calls) for each in group)
    try:
        use_quota.use(key=caller.key, quota=models.ApiKeyUsage.Quota.REQUESTS, count=count, now=caller.now)
    except codes.RefusedCall as refusal:
        return refusal
    return None


def _send_together(opened: Sequence[_Open]) -> None:
    """Answer each call that sends an operation."""
    asked: list[receive_operation.Asked] = []
    places: list[tuple[_Open, int]] = []
    for each in opened:
        for number, call in enumerate(each.calls):
            if json_rpc.find_fault(call) is not None or call["method"] != SEND:
                continue
            try:
                asked.append(methods.read_send(caller=each.caller, parameters=call.get("params")))
                places.append((each, number))
            except Exception as error:  # noqa: BLE001 - this one is told, and the log; the others go on
                each.answers[number] = _answer_with(error, call=call, caller=each.caller)
    if not asked:
        return
    outcomes = _receive(asked, caller=opened[0].caller)
    for (each, number), outcome in zip(places, outcomes, strict=True):
        each.answers[number] = _answer_with(outcome, call=each.calls[number], caller=each.caller)


def _receive(asked: Sequence[receive_operation.Asked], *, caller: methods.Caller) -> Sequence[object]:
    """Put operations into the pool together; one by one where one of them upsets what was not made for it."""
    try:
        return receive_operation.receive_together(asked=asked, chain_id=caller.chain_id, now=caller.now)
    except django_db.OperationalError as error:
        return [error] * len(asked)
    except Exception as error:  # noqa: BLE001 - whose operation it is will be told, and the log
        if len(asked) == 1:
            return [error]
        return [outcome for each in asked for outcome in _receive([each], caller=caller)]


def _finish(opened: _Open) -> Response:
    for number, call in enumerate(opened.calls):
        if number not in opened.answers:
            opened.answers[number] = _call(opened.caller, call)
    found = [opened.answers[number] for number in range(len(opened.calls)) if opened.answers[number] is not None]
    if not found:
        return Response(status=_NO_CONTENT, body=b"")
    return _respond(found if opened.is_batch else found[0])


def _call(caller: methods.Caller, call: Any) -> dict[str, Any] | None:
    refusal = json_rpc.find_fault(call)
    if refusal is not None:
        return _error(None, refusal)
    outcome: object
    try:
        outcome = methods.answer(caller=caller, method=call["method"], parameters=call.get("params"))
    except Exception as error:  # noqa: BLE001 - the client is told, and the log
        outcome = error
    return _answer_with(outcome, call=call, caller=caller)


def _answer_with(outcome: object, *, call: dict[str, Any], caller: methods.Caller) -> dict[str, Any] | None:
    """Return the answer to a call, None to a notification."""
    if isinstance(outcome, Exception):
        answer = _error(call.get("id"), _refusal_of(outcome, method=call["method"], caller=caller))
    else:
        answer = json_rpc.result(call.get("id"), outcome)
    return answer if "id" in call else None


def _refusal_of(error: Exception, *, method: str, caller: methods.Caller) -> codes.RefusedCall:
    if isinstance(error, codes.RefusedCall):
        return error
    if isinstance(error, errors.Unreachable | errors.Refused):
        logger.warning("%s for key %s: %s", method, caller.key.identifier, error)
        return codes.RefusedCall(_Code.INTERNAL, "Chain or signer do not answer. Try again.")
    logger.error("%s failed for key %s", method, caller.key.identifier, exc_info=error)
    return codes.RefusedCall(_Code.INTERNAL, "This failed here, not at your side.")


def _refuse(code: int, message: str, *, status: int = _OK) -> Response:
    return _respond(_error(None, json_rpc.RefusedCall(code, message)), status=status)


def _error(id_: object, refusal: json_rpc.RefusedCall) -> dict[str, Any]:
    tally.note(count_up.REFUSED, str(int(refusal.code)))
    return json_rpc.error(id_, refusal)


def _respond(content: Any, *, status: int = _OK) -> Response:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Response(status=status, body=body, headers={"Content-Type": "application/json"} | _HEADERS.get(status, {}))
