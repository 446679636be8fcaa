"""A node that is away, busy or confused is unreachable; one that says no is heard out."""

from typing import Any

import pytest

from openvpp.core import errors
from relayer.adapters import rpc


class Line:
    """Stands in for the HTTP client; answers what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.sent: list[Any] = []

    def post(self, *, path: str, body: Any) -> Any:
        self.sent.append(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(body) if callable(self.answer) else self.answer


def node(answer: Any) -> tuple[rpc.Node, Line]:
    made, line = rpc.Node(url="http://127.0.0.1:1"), Line(answer)
    made._client = line  # type: ignore[assignment]
    return made, line


def test_a_batch_is_one_request_and_its_answers_are_put_in_order() -> None:
    made, line = node(lambda body: [{"id": each["id"], "result": each["method"]} for each in reversed(body)])
    assert made.batch([("one", ()), ("two", (1,)), ("three", ())]) == ["one", "two", "three"]
    assert len(line.sent) == 1
    assert made.batch([]) == []
    assert len(line.sent) == 1


def test_an_error_in_a_batch_stands_in_its_place() -> None:
    made, _ = node(
        lambda body: [
            {"id": body[0]["id"], "result": "0x1"},
            {"id": body[1]["id"], "error": {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}},
        ]
    )
    first, second = made.batch([("one", ()), ("two", ())])
    assert first == "0x1"
    assert isinstance(second, rpc.NodeRefused)
    assert (second.code, second.reason, second.data) == (3, "execution reverted", bytes.fromhex("08c379a0"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [("0x01", b"\x01"), ({"data": "0x02"}, b"\x02"), ("Reverted", b""), ("0xzz", b""), (None, b""), (7, b"")],
)
def test_revert_data_is_read_in_every_shape_that_nodes_send(data: Any, expected: bytes) -> None:
    made, _ = node(lambda body: {"id": body["id"], "error": {"code": -32000, "message": "no", "data": data}})
    with pytest.raises(rpc.NodeRefused) as refusal:
        made.call("eth_call")
    assert refusal.value.data == expected


@pytest.mark.parametrize(
    "answer",
    [
        errors.Unreachable("away"),
        errors.Refused("answered 403"),
        {"id": 999_999, "result": "0x1"},
        ["what"],
        lambda body: {"id": body["id"], "error": {"code": 429, "message": "too many"}},
        lambda body: {"id": body["id"], "error": {"code": -32005, "message": "limit exceeded"}},
    ],
)
def test_no_answer_is_unreachable(answer: Any) -> None:
    made, _ = node(answer)
    with pytest.raises(errors.Unreachable):
        made.call("eth_chainId")
