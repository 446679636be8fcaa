"""A node's call trace, cut down to one operation and to what a page can show, its contracts and functions named."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.bindings import reverts, words
from relayer.domain import call_words

MOST_FRAMES = 300
DEEPEST = 24
_MOST_TEXT = 300
_PRECOMPILES = {
    1: "ecrecover",
    2: "sha256",
    3: "ripemd160",
    4: "identity",
    5: "modexp",
    6: "ecadd",
    7: "ecmul",
    8: "ecpairing",
    9: "blake2f",
    0x100: "p256verify",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One call of a trace. `left_out` says how many below it are not shown."""

    kind: str
    to: str
    name: str
    function: str
    gas_used: int
    value_wei: int
    error: str
    calls: tuple["Frame", ...]
    left_out: int


def read(*, answer: Any, names: Mapping[bytes, str], user_operation_hash: bytes, init_code: bytes) -> list[Frame]:
    """Return the frames of one operation in a `callTracer`'s answer for `handleOps`; all where none can be told apart.

    :raises ValueError: the answer is no trace.
    """
    if not isinstance(answer, Mapping) or "type" not in answer:
        message = "the node's tracer answered something else"
        raise ValueError(message)
    below = [call for call in answer.get("calls") or [] if isinstance(call, Mapping)]
    wanted = user_operation_hash.hex()
    deployment = init_code[20:].hex()
    own = [
        call
        for call in below
        if wanted in str(call.get("input", "")) or (deployment and deployment in str(call.get("input", "")))
    ]
    left = [MOST_FRAMES]
    return [_frame(call, names, depth=0, left=left) for call in (own or [answer])]


def _frame(call: Mapping[str, Any], names: Mapping[bytes, str], *, depth: int, left: list[int]) -> Frame:
    left[0] -= 1
    data, to = _bytes(call.get("input")), _bytes(call.get("to"))[-20:]
    below: Sequence[Mapping[str, Any]] = [each for each in call.get("calls") or [] if isinstance(each, Mapping)]
    shown = []
    for each in below:
        if left[0] <= 0 or depth >= DEEPEST:
            break
        shown.append(_frame(each, names, depth=depth + 1, left=left))
    is_unnamed = int.from_bytes(to) in _PRECOMPILES or str(call.get("type", "")).startswith("CREATE")
    return Frame(
        kind=str(call.get("type", ""))[:20],
        to=words.checksummed(to) if len(to) == words.ADDRESS_BYTES else "",
        name=names.get(to, "") or _PRECOMPILES.get(int.from_bytes(to), ""),
        function="" if is_unnamed else _function(data),
        gas_used=_number(call.get("gasUsed")),
        value_wei=_number(call.get("value")),
        error=_error(call),
        calls=tuple(shown),
        left_out=sum(_size(each) for each in below[len(shown) :]),
    )


def _function(data: bytes) -> str:
    if not data:
        return ""
    name = call_words.function_name(data)
    return f"{name}()" if name else f"0x{data[:4].hex()}"


def _error(call: Mapping[str, Any]) -> str:
    error = call.get("error")
    if not error:
        return ""
    output = _bytes(call.get("output"))
    said = reverts.describe(output) if output else str(call.get("revertReason") or error)
    return said[:_MOST_TEXT]


def _size(call: Mapping[str, Any]) -> int:
    """Return how many frames a call has with all below it, without recursion: a trace may be 1,024 deep."""
    count, waiting = 0, [call]
    while waiting:
        count += 1
        waiting.extend(each for each in waiting.pop().get("calls") or [] if isinstance(each, Mapping))
    return count


def _bytes(value: object) -> bytes:
    try:
        return bytes.fromhex(str(value or "").removeprefix("0x"))
    except ValueError:
        return b""


def _number(value: object) -> int:
    try:
        return int(str(value or "0x0"), 16)
    except ValueError:
        return 0
