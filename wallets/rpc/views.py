"""JSON-RPC 2.0 over POST for a person's wallet: one call, or a batch of at most MAX_CALLS."""

import json
import logging
from typing import Any

from django import http
from rest_framework import request as drf_request
from rest_framework import views

from openvpp.core import clock, errors, json_rpc, scopes
from wallets import models, queries
from wallets.domain import wallet_calls
from wallets.rpc import methods

logger = logging.getLogger(__name__)

MAX_CALLS = 10
MAX_BYTES = 64 * 1024
_Code = wallet_calls.Code
_WITHOUT_ANSWER = 204


class Wallet(views.APIView):
    """What a person's wallet does for the application that holds their access token, as far as they allowed."""

    required_scopes: list[str] = []
    schema = None

    def post(self, request: drf_request.Request, chain_id: int) -> http.HttpResponse:
        person = scopes.get_person(request)
        wallet = queries.get_wallet(user=person)
        if wallet.chain_id != chain_id:
            return _response(_refuse(None, _Code.UNSUPPORTED_CHAIN, "Unknown chain."))
        if not isinstance(request.auth, models.AccessToken) or len(request.body) > MAX_BYTES:
            return _response(_refuse(None, _Code.NO_REQUEST, "The body is too large."))
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            return _response(_refuse(None, _Code.UNREADABLE, "The body is not JSON."))
        caller = methods.Caller(user=person, token=request.auth, wallet=wallet, now=clock.get_now())
        return _answer_all(caller, body)


def _answer_all(caller: methods.Caller, body: Any) -> http.HttpResponse:
    calls = body if isinstance(body, list) else [body]
    if not calls or len(calls) > MAX_CALLS:
        return _response(_refuse(None, _Code.NO_REQUEST, f"A batch has 1 to {MAX_CALLS} calls."))
    answers = [answer for each in calls if (answer := _answer(caller, each)) is not None]
    if not answers:
        return http.HttpResponse(status=_WITHOUT_ANSWER)
    return _response(answers if isinstance(body, list) else answers[0])


def _answer(caller: methods.Caller, asked: Any) -> dict[str, Any] | None:
    """Return the answer to one call, None to a notification."""
    fault = json_rpc.find_fault(asked)
    if fault is not None:
        return json_rpc.error(None, fault)
    id_ = asked.get("id")
    try:
        result = methods.answer(caller=caller, method=asked["method"], parameters=asked.get("params"))
        answer = json_rpc.result(id_, result)
    except wallet_calls.RefusedCall as refusal:
        answer = json_rpc.error(id_, refusal)
    except errors.Unreachable as error:
        logger.warning("%s for wallet %s: %s", asked["method"], caller.wallet.address, error)
        answer = _refuse(id_, _Code.INTERNAL, "Chain or signer do not answer. Try again.")
    except Exception:
        logger.exception("%s failed for wallet %s", asked["method"], caller.wallet.address)
        answer = _refuse(id_, _Code.INTERNAL, "This failed here, not at your side.")
    return answer if "id" in asked else None


def _refuse(id_: object, code: int, message: str) -> dict[str, Any]:
    return json_rpc.error(id_, json_rpc.RefusedCall(code, message))


def _response(content: Any) -> http.HttpResponse:
    return http.HttpResponse(json.dumps(content, separators=(",", ":"), default=str), content_type="application/json")
