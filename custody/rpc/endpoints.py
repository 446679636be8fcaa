"""The signer's address: WSGI, JSON in and out, a bearer token, nothing larger than it must be."""

import hmac
import json
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django import db as django_db

from contracts.bindings import words
from custody import models
from custody.domain import intents, sealing
from custody.usecases import apply_change, create_key, sign
from openvpp.core import clock, errors

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
MAX_SUBJECT_LENGTH = 100

type StartResponse = Callable[[str, list[tuple[str, str]]], Any]
type Answer = tuple[int, dict[str, Any]]

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class UnableToAnswer(errors.UnableTo):
    """The request is not one that the signer knows."""

    status = 400


class Application:
    """`POST /v1/keys`, `POST /v1/signatures`, `POST /v1/sponsored-signatures`, `POST /v1/changes`, `GET /health`."""

    def __init__(self, *, ring: sealing.Ring, token: str) -> None:
        if not token:
            raise ValueError("The signer needs a token.")
        self._ring = ring
        self._expected = f"Bearer {token}".encode()

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        django_db.close_old_connections()
        try:
            status, body = self._answer(environ)
        except errors.UnableTo as error:
            status, body = error.status, {"code": error.code, "detail": error.detail}
        except errors.Unreachable as error:
            logger.warning("a key's backend is unreachable: %s", error)
            status, body = 503, {"code": "unreachable", "detail": str(error)}
        except django_db.OperationalError:
            logger.exception("database unreachable")
            status, body = 503, {"code": "unreachable", "detail": "The database is not reachable."}
        except Exception:
            logger.exception("signer failed")
            status, body = 500, {"code": "internal", "detail": "The signer failed; its log says why."}
        finally:
            django_db.close_old_connections()
        content = json.dumps(body).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
        ]
        start_response(f"{status} {_REASONS.get(status, 'Error')}", headers)
        return [content]

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
        if path == "/health":
            return self._health()
        if not hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode(), self._expected):
            return 401, {"code": "unauthorized", "detail": "Send the signer's bearer token."}
        handlers = {
            "/v1/keys": self._create_key,
            "/v1/signatures": self._sign,
            "/v1/sponsored-signatures": self._sign_sponsored,
            "/v1/changes": self._apply,
        }
        if path not in handlers:
            return 404, {"code": "not_found", "detail": "No such address."}
        if method != "POST":
            return 405, {"code": "method_not_allowed", "detail": "Use POST."}
        return handlers[path](_read_body(environ))

    def _health(self) -> Answer:
        waiting = models.SealedKey.objects.exclude(key_encryption_key_id__in=self._ring.ids).count()
        return 200, {"status": "ok", "key_encryption_key_id": self._ring.current.id, "keys_that_do_not_open": waiting}

    def _create_key(self, body: Mapping[str, Any]) -> Answer:
        subject, policy = body.get("subject"), body.get("policy")
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH or not isinstance(policy, dict):
            raise UnableToAnswer("Send purpose, subject (1 to 100 characters) and policy.", code="malformed")
        key = create_key.create_key(
            purpose=str(body.get("purpose")), subject=subject, policy=policy, ring=self._ring, now=clock.get_now()
        )
        return 200, {"key_id": key.pk, "address": str(key.address), "policy": key.policy}

    def _sign(self, body: Mapping[str, Any]) -> Answer:
        key_id, intent = _read_key_id(body, "key_id"), _read_intent(body)
        signature = sign.sign(key_id=key_id, intent=intent, ring=self._ring, now=clock.get_now())
        return 200, {"signature": "0x" + signature.hex()}

    def _sign_sponsored(self, body: Mapping[str, Any]) -> Answer:
        intent, text = _read_intent(body), str(body.get("entry_point"))
        try:
            entry_point = words.parse_address(text)
        except ValueError as error:
            raise UnableToAnswer(str(error), code="malformed") from None
        if not isinstance(intent, intents.Sponsorship):
            raise UnableToAnswer("The intent is no sponsorship.", code="bad_intent")
        leave, signature = sign.sign_sponsored(
            sponsor_key_id=_read_key_id(body, "sponsor_key_id"),
            sponsorship=intent,
            key_id=_read_key_id(body, "key_id"),
            entry_point=entry_point,
            ring=self._ring,
            now=clock.get_now(),
        )
        return 200, {"sponsor_signature": "0x" + leave.hex(), "signature": "0x" + signature.hex()}

    def _apply(self, body: Mapping[str, Any]) -> Answer:
        try:
            change_id = uuid.UUID(str(body.get("change_id")))
        except ValueError:
            raise UnableToAnswer("Send change_id.", code="malformed") from None
        key_id = body.get("key_id")
        if key_id is None:
            key = apply_change.apply_change(change_id=change_id, ring=self._ring)
        elif isinstance(key_id, int) and not isinstance(key_id, bool):
            key = apply_change.apply_payee(change_id=change_id, key_id=key_id, ring=self._ring)
        else:
            raise UnableToAnswer("A key_id is a number.", code="malformed")
        return 200, {"key_id": key.pk, "policy": key.policy}


def _read_key_id(body: Mapping[str, Any], name: str) -> int:
    key_id = body.get(name)
    if not isinstance(key_id, int) or isinstance(key_id, bool):
        raise UnableToAnswer(f"Send {name} and intent.", code="malformed")
    return key_id


def _read_intent(body: Mapping[str, Any]) -> intents.Intent:
    wish = body.get("intent")
    if not isinstance(wish, dict):
        raise UnableToAnswer("Send key_id and intent.", code="malformed")
    try:
        return intents.parse(wish)
    except intents.UnableToReadIntent as error:
        raise UnableToAnswer(str(error), code="bad_intent") from None


def _read_body(environ: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise UnableToAnswer("The content length is no number.", code="malformed") from None
    if length > MAX_BODY_BYTES:
        error = UnableToAnswer(f"At most {MAX_BODY_BYTES} bytes.", code="too_large")
        error.status = 413
        raise error
    try:
        body = json.loads(environ["wsgi.input"].read(length))
    except ValueError:
        raise UnableToAnswer("The body is not JSON.", code="malformed") from None
    if not isinstance(body, dict):
        raise UnableToAnswer("The body is not a JSON object.", code="malformed")
    return body
