"""RLP, the encoding of transactions and authorisations, at the level of bytes."""

from collections.abc import Sequence

_SHORT = 56
_STANDS_FOR_ITSELF = 0x80
_STRING, _LIST = 0x80, 0xC0


def integer(value: int, /) -> bytes:
    """Return a whole number that is not negative."""
    return string(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def string(value: bytes, /) -> bytes:
    """Return a byte string."""
    if len(value) == 1 and value[0] < _STANDS_FOR_ITSELF:
        return value
    return _header(len(value), _STRING) + value


def items(values: Sequence[bytes], /) -> bytes:
    """Return a list of what is encoded already."""
    body = b"".join(values)
    return _header(len(body), _LIST) + body


def _header(length: int, base: int) -> bytes:
    if length < _SHORT:
        return bytes([base + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([base + _SHORT - 1 + len(size)]) + size
