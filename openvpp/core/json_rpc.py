"""JSON-RPC 2.0 as every server here speaks it: what a call looks like, and how it is answered or refused."""

from collections.abc import Mapping
from typing import Any

# The codes that the specification itself gives; each server has more of its own.
UNREADABLE = -32_700
NO_REQUEST = -32_600
NO_SUCH_METHOD = -32_601
BAD_PARAMETERS = -32_602
INTERNAL = -32_603


class RefusedCall(Exception):
    """A call is answered with an error."""

    def __init__(self, code: int, message: str, *, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def find_fault(call: object) -> RefusedCall | None:
    """Return why something is no call at all; None where it is one, whose `method` is a text then."""
    if not isinstance(call, dict) or call.get("jsonrpc") != "2.0" or not isinstance(call.get("method"), str):
        return RefusedCall(NO_REQUEST, "This is no JSON-RPC 2.0 request.")
    if call.get("id") is not None and not isinstance(call["id"], str | int | float):
        return RefusedCall(NO_REQUEST, "The id is no text and no number.")
    return None


def result(id_: object, value: object) -> dict[str, Any]:
    """Return a call's answer."""
    return {"jsonrpc": "2.0", "id": id_, "result": value}


def error(id_: object, refusal: RefusedCall) -> dict[str, Any]:
    """Return the answer to a call that is refused."""
    told: dict[str, Any] = {"code": int(refusal.code), "message": refusal.message}
    if refusal.data is not None:
        told["data"] = dict(refusal.data)
    return {"jsonrpc": "2.0", "id": id_, "error": told}
