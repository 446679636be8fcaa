"""How the endpoints that applications call answer: a refusal (RFC 6749, section 5.2), or the same answer again."""

import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import aead
from cryptography.hazmat.primitives.kdf import hkdf
from django import http

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_NONCE_BYTES = 12


def refuse(error: str, description: str, status: int = 400) -> http.JsonResponse:
    """Return a refusal that no cache keeps."""
    refused = http.JsonResponse({"error": error, "error_description": description}, status=status, headers=NO_STORE)
    if status == 401:  # noqa: PLR2004 - RFC 6749 wants a challenge
        refused["WWW-Authenticate"] = 'Basic realm="openvpp"'
    return refused


class AnswerAgain(Exception):
    """The request was answered a moment ago; `body` is that answer."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__("The request was answered a moment ago.")
        self.body = body


def seal(*, body: dict[str, Any], token: str) -> bytes:
    """Return an answer that only whoever presents `token` again can have opened; the database does not hold it."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + aead.AESGCM(_key(token)).encrypt(nonce, json.dumps(body).encode(), None)


def unseal(*, sealed: bytes, token: str) -> dict[str, Any]:
    """Return what `seal` was given.

    :raises cryptography.exceptions.InvalidTag: it was sealed under another token.
    """
    opened = aead.AESGCM(_key(token)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    body: dict[str, Any] = json.loads(opened)
    return body


def _key(token: str) -> bytes:
    return hkdf.HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"openvpp refresh answer").derive(
        token.encode()
    )
