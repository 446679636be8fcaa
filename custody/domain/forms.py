"""How the fields of a policy are written as JSON, and read back."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from custody.domain import caps


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How each field is read, and which ones must be there."""

    readers: Mapping[str, Callable[[Any], object]]
    required: frozenset[str]


@functools.cache
def of(kind: type) -> Form:
    """Return the form of a dataclass whose fields are bytes, numbers and caps."""
    fields = dataclasses.fields(kind)
    return Form(
        readers={field.name: _READERS.get(field.type, caps.read) for field in fields},
        required=frozenset(field.name for field in fields if field.default is dataclasses.MISSING),
    )


def write(value: object) -> object:
    """Return a field's value as it stands in JSON."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return [cap.to_json() for cap in value] if isinstance(value, tuple) else value


def _read_bytes(value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("bytes are written as 0x and hexadecimal digits")
    return bytes.fromhex(value[2:])


def _read_number(value: object) -> int:
    if type(value) is not int or value < 0:  # a boolean is no number
        raise ValueError("a number must be whole and not negative")
    return value


_READERS: dict[object, Callable[[Any], object]] = {bytes: _read_bytes, int: _read_number}
