"""Traces: one operation's part, named, and never larger than a page can show."""

from typing import Any

import pytest

from contracts.bindings import words
from relayer.domain import traces

HASH, ACCOUNT = bytes.fromhex("ab" * 32), bytes.fromhex("ac" * 20)
VALIDATE = words.selector(
    "validateUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32,uint256)"
)


def frame(*calls: Any, data: bytes = b"", to: bytes = ACCOUNT, **more: Any) -> dict[str, Any]:
    return {
        "type": "CALL",
        "to": "0x" + to.hex(),
        "input": "0x" + data.hex(),
        "gasUsed": "0x10",
        "calls": list(calls),
    } | more


def read(answer: Any, init_code: bytes = b"") -> list[traces.Frame]:
    return traces.read(answer=answer, names={ACCOUNT: "the account"}, user_operation_hash=HASH, init_code=init_code)


def test_only_the_parts_with_the_operations_hash_are_shown() -> None:
    own, other = frame(data=VALIDATE + HASH), frame(data=VALIDATE + bytes(32))
    deployment = frame(data=b"\x01\x02\x03\x04" + b"salt and owner")
    found = read(frame(deployment, other, own), init_code=bytes(20) + b"salt and owner")
    assert [each.function for each in found] == ["0x01020304", "validateUserOp()"]
    assert (found[1].name, found[1].gas_used) == ("the account", 16)


def test_without_any_such_part_the_whole_is_shown() -> None:
    (found,) = read(frame(frame()))
    assert len(found.calls) == 1


def test_a_wide_trace_and_a_deep_one_are_cut_and_say_so() -> None:
    (wide,) = read(frame(*[frame() for _ in range(1_000)]))
    assert len(wide.calls) == traces.MOST_FRAMES - 1
    assert wide.left_out == 1_000 - len(wide.calls)
    deep = frame()
    for _ in range(900):
        deep = frame(deep)
    (found,) = read(deep)
    depth = 0
    while found.calls:
        found, depth = found.calls[0], depth + 1
    assert (depth, found.left_out) == (traces.DEEPEST, 900 - traces.DEEPEST)


def test_errors_are_decoded_and_precompiles_named() -> None:
    output = words.selector("Error(string)") + words.arguments((words.dynamic(b"no money"),))
    (found,) = read(
        frame(frame(to=(1).to_bytes(20), data=b"\x12" * 32), error="execution reverted", output="0x" + output.hex())
    )
    assert found.error == "no money"
    assert (found.calls[0].name, found.calls[0].function) == ("ecrecover", "")


@pytest.mark.parametrize("answer", [None, [], "0x", {"calls": []}])
def test_what_is_no_trace_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match="answered something else"):
        read(answer)


@pytest.mark.parametrize(
    "odd", [{"input": "nonsense"}, {"to": None}, {"gasUsed": "many"}, {"calls": None}, {"calls": [None, 7]}]
)
def test_odd_fields_break_nothing(odd: dict[str, Any]) -> None:
    assert read(frame() | odd)
