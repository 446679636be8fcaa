"""Why a call was refused: revert data in words."""

from __future__ import annotations

import functools
from collections.abc import Callable

from contracts import abi
from contracts.bindings import words

_PANICS = {
    0x01: "assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x32: "index out of bounds",
    0x41: "out of memory",
}
_ERROR = words.selector("Error(string)")
_PANIC = words.selector("Panic(uint256)")


def name_of(revert_data: bytes, /) -> str | None:
    """Return the name of the error that a call was refused with, or None if it is none that we know."""
    if revert_data[:4] == _ERROR:
        return "Error"
    if revert_data[:4] == _PANIC:
        return "Panic"
    known = _errors().get(revert_data[:4])
    return None if known is None else known[0]


def describe(revert_data: bytes, /) -> str:
    """Return what a call was refused with as text: the error's name and its arguments, nested errors opened."""
    if not revert_data:
        return "reverted without a reason"
    try:
        return _describe(revert_data[:4], revert_data[4:])
    except ValueError:
        return f"malformed error 0x{revert_data.hex()}"


def _describe(selector: bytes, body: bytes) -> str:
    if selector == _ERROR:
        return _text(words.read_bytes(body, words.read_uint(body, 0)))
    if selector == _PANIC:
        code = words.read_uint(body, 0)
        return f"Panic: {_PANICS.get(code, hex(code))}"
    known = _errors().get(selector)
    if known is None:
        return f"unknown error 0x{(selector + body).hex()}"
    name, inputs = known
    said = [f"{label} {_value(kind, body, 32 * i)}".strip() for i, (label, kind) in enumerate(inputs)]
    return f"{name}: {', '.join(said)}" if said else name


def _value(kind: str, body: bytes, offset: int) -> str:
    if kind.startswith("bytes") and kind != "bytes":
        return f"0x{words.read_word(body, offset)[: int(kind.removeprefix('bytes'))].hex()}"
    return _READERS[kind.rstrip("0123456789")](body, offset)


def _dynamic(body: bytes, offset: int) -> bytes:
    return words.read_bytes(body, words.read_uint(body, offset))


_READERS: dict[str, Callable[[bytes, int], str]] = {
    "address": lambda body, offset: words.checksummed(words.read_address(body, offset)),
    "bool": lambda body, offset: "yes" if words.read_uint(body, offset) else "no",
    "string": lambda body, offset: _text(_dynamic(body, offset)),
    "bytes": lambda body, offset: f"({describe(_dynamic(body, offset))})",
    "uint": lambda body, offset: str(words.read_uint(body, offset)),
    "int": lambda body, offset: str(int.from_bytes(words.read_word(body, offset), "big", signed=True)),
}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


@functools.cache
def _errors() -> dict[bytes, tuple[str, tuple[tuple[str, str], ...]]]:
    """Return every error of our contracts and of the EntryPoint by its selector: its name, its arguments."""
    found: dict[bytes, tuple[str, tuple[tuple[str, str], ...]]] = {}
    for contract in abi.CONTRACTS:
        for entry in abi.load(contract).abi:
            if entry["type"] == "error":
                inputs = tuple((argument["name"], argument["type"]) for argument in entry["inputs"])
                signature = f"{entry['name']}({','.join(kind for _, kind in inputs)})"
                found[words.selector(signature)] = (entry["name"], inputs)
    return found
