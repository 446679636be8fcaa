"""A lean JSON-RPC client: single calls and batches, with time limits and two kinds of failure."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from openvpp.core import errors, http

TIMEOUT_SECONDS = 5.0
_RATE_LIMITED = {-32005, 429}

type Call = tuple[str, Sequence[object]]


class NodeRefused(errors.Refused):
    """The node answered with an error; `data` is the revert data, if a call reverted."""

    def __init__(self, *, code: int, message: str, data: bytes) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Node:
    """One endpoint of a chain.

    :raises errors.Unreachable: no answer, too slow, too many requests, or not JSON-RPC.
    """

    def __init__(self, *, url: str) -> None:
        self._client = http.Client(base_url=url, timeout=TIMEOUT_SECONDS)
        self._ids = itertools.count(1)

    def call(self, method: str, *parameters: object) -> Any:
        """Return the node's answer.

        :raises NodeRefused: it is an error.
        """
        (answer,) = self.batch([(method, parameters)])
        if isinstance(answer, NodeRefused):
            raise answer
        return answer

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Return the answers in the order of the calls, a `NodeRefused` in the place of each error."""
        if not calls:
            return []
        requests = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(parameters)}
            for method, parameters in calls
        ]
        try:
            answers = self._client.post(path="", body=requests if len(requests) > 1 else requests[0])
        except errors.Refused as refusal:
            raise errors.Unreachable(f"The node refused the request: {refusal.reason}") from None
        by_id = {answer.get("id"): answer for answer in (answers if isinstance(answers, list) else [answers])}
        if any(request["id"] not in by_id for request in requests):
            raise errors.Unreachable("The node did not answer every call.")
        return [_result(by_id[request["id"]]) for request in requests]


@functools.cache
def _node(url: str) -> Node:
    return Node(url=url)


def node() -> Node:
    """Return the chain's endpoint."""
    return _node(settings.CHAIN_RPC_URL)


def quantity(value: int) -> str:
    """Return a number as JSON-RPC writes it."""
    return hex(value)


def _result(answer: Any) -> Any:
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    if error.get("code") in _RATE_LIMITED:
        raise errors.Unreachable(f"The node is busy: {error.get('message')}")
    return NodeRefused(code=int(error.get("code", 0)), message=str(error.get("message", "")), data=_revert_data(error))


def _revert_data(error: dict[str, Any]) -> bytes:
    data = error.get("data")
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return b""
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return b""
