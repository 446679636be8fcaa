"""The signer, from outside: the only code that talks to it."""

import functools
import json
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from openvpp.core import errors, http, tally

TIMEOUT_SECONDS = 5.0


class SignerRefused(errors.Refused):
    """The signer answered no, with a code."""

    def __init__(self, *, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def create_key(*, purpose: str, subject: str, policy: Mapping[str, Any]) -> int:
    """Return the id of the subject's key, made if there was none.

    :raises errors.Unreachable: no answer.
    :raises SignerRefused: a final no.
    """
    answer = _post("/v1/keys", {"purpose": purpose, "subject": subject, "policy": dict(policy)})
    return int(answer["key_id"])


def sign(*, key_id: int, intent: Mapping[str, Any]) -> bytes:
    """Return r, s, v.

    :raises errors.Unreachable: no answer.
    :raises SignerRefused: a final no.
    """
    answer = _post("/v1/signatures", {"key_id": key_id, "intent": dict(intent)})
    return bytes.fromhex(str(answer["signature"]).removeprefix("0x"))


def sign_sponsored(
    *, sponsor_key_id: int, intent: Mapping[str, Any], key_id: int, entry_point: str
) -> tuple[bytes, bytes]:
    """Return r, s, v of the sponsor, and of the key that signs what is so sponsored.

    :raises errors.Unreachable: no answer.
    :raises SignerRefused: a final no.
    """
    wish = {"sponsor_key_id": sponsor_key_id, "intent": dict(intent), "key_id": key_id, "entry_point": entry_point}
    answer = _post("/v1/sponsored-signatures", wish)
    leave, signature = (str(answer[name]).removeprefix("0x") for name in ("sponsor_signature", "signature"))
    return bytes.fromhex(leave), bytes.fromhex(signature)


def apply_change(*, change_id: str, key_id: int | None) -> None:
    """Have a key sealed as two people decided.

    :raises errors.Unreachable: no answer.
    :raises SignerRefused: a final no.
    """
    _post("/v1/changes", {"change_id": change_id} if key_id is None else {"change_id": change_id, "key_id": key_id})


def health() -> Mapping[str, Any]:
    """Return what the signer says of itself.

    :raises errors.Unreachable: no answer.
    """
    answer: Mapping[str, Any] = _client(settings.SIGNER_URL, settings.SIGNER_TOKEN).get(path="/health")
    return answer


def _post(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    began = time.monotonic()
    try:
        answer = _client(settings.SIGNER_URL, settings.SIGNER_TOKEN).post(path=path, body=body)
    except errors.Refused as refusal:
        raise _read_refusal(refusal) from None
    finally:
        tally.note_seconds("signer_seconds", time.monotonic() - began)
    if not isinstance(answer, dict):
        raise errors.Unreachable("The signer did not send a JSON object.")
    return answer


def _read_refusal(refusal: errors.Refused) -> errors.Refused:
    try:
        said = json.loads(refusal.body)
        return SignerRefused(code=str(said["code"]), reason=str(said["detail"]))
    except (ValueError, KeyError, TypeError):
        return SignerRefused(code="refused", reason=refusal.reason)


@functools.cache
def _client(url: str, token: str) -> http.Client:
    return http.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_SECONDS)
