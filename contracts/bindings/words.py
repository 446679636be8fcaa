"""ABI words, addresses and signatures at the level of bytes."""

from __future__ import annotations

from collections.abc import Sequence

import sha3

from openvpp.core import addresses

ADDRESS_BYTES = 20
HASH_BYTES = 32
REFERENCE_BYTES = 16
SIGNATURE_BYTES = 65
ZERO_ADDRESS = bytes(ADDRESS_BYTES)

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_RECOVERY_BASE = 27


def keccak(data: bytes, /) -> bytes:
    """Return the Keccak-256 hash of `data`."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


_DOMAIN_TYPEHASH = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")


def selector(signature: str, /) -> bytes:
    """Return the four bytes that name a function or an error, such as `transfer(address,uint256)`."""
    return keccak(signature.encode())[:4]


def uint(value: int, /, *, bits: int = 256) -> bytes:
    """Return an unsigned integer as one ABI word.

    :raises ValueError: if it does not fit in `bits`.
    """
    if value < 0 or value >> bits:
        message = f"{value} does not fit in an unsigned integer of {bits} bits"
        raise ValueError(message)
    return value.to_bytes(32, "big")


def flag(value: bool, /) -> bytes:  # noqa: FBT001 - a word's value, not an option
    """Return a boolean as one ABI word."""
    return uint(int(value))


def address(value: bytes, /) -> bytes:
    """Return an address as one ABI word.

    :raises ValueError: if it is not 20 bytes long.
    """
    return bytes(12) + exactly(value, ADDRESS_BYTES, "an address")


def left_aligned(value: bytes, /, *, length: int) -> bytes:
    """Return a fixed-size byte string of `length` bytes as one ABI word.

    :raises ValueError: if it is of another length.
    """
    return exactly(value, length, f"a bytes{length}") + bytes(32 - length)


class Tail(bytes):
    """An ABI argument of dynamic type, which stands behind the heads and is pointed to."""

    __slots__ = ()


def dynamic(value: bytes, /) -> Tail:
    """Return a dynamic byte string: its length, its bytes, and zeros up to a whole word."""
    return Tail(len(value).to_bytes(32, "big") + value + bytes(-len(value) % 32))


def array(items: Sequence[bytes], /) -> Tail:
    """Return a dynamic array of items of one word each."""
    return Tail(len(items).to_bytes(32, "big") + b"".join(items))


def arguments(parts: Sequence[bytes], /) -> bytes:
    """Return ABI arguments: static ones stand in their place, each tail behind them with its offset in its place."""
    offset = sum(32 if isinstance(part, Tail) else len(part) for part in parts)
    heads, tails = [], []
    for part in parts:
        if isinstance(part, Tail):
            heads.append(offset.to_bytes(32, "big"))
            tails.append(part)
            offset += len(part)
        else:
            heads.append(part)
    return b"".join((*heads, *tails))


def exactly(value: bytes, length: int, what: str, /) -> bytes:
    """Return `value` if it is `length` bytes long.

    :raises ValueError: if not.
    """
    if len(value) != length:
        message = f"{what} has {length} bytes, not {len(value)}"
        raise ValueError(message)
    return value


def signature(value: bytes, /) -> bytes:
    """Return r, s, v with v 27 or 28, from r, s and either that or the recovery id 0 or 1.

    :raises ValueError: if it is malleable (s in the upper half) or no such signature.
    """
    exactly(value, SIGNATURE_BYTES, "a signature")
    v = value[64] + _RECOVERY_BASE if value[64] < _RECOVERY_BASE else value[64]
    if v not in (_RECOVERY_BASE, _RECOVERY_BASE + 1):
        message = f"a signature's last byte is 27 or 28, or 0 or 1, not {value[64]}"
        raise ValueError(message)
    if int.from_bytes(value[32:64], "big") > _HALF_ORDER:
        message = "a signature's s must be in the lower half of the curve's order"
        raise ValueError(message)
    return value[:64] + bytes([v])


def parse_address(text: str, /) -> bytes:
    """Return an address from its hexadecimal text; a mixed-case text must have the right checksum (EIP-55).

    :raises ValueError: if it is none.
    """
    digits = text.removeprefix("0x")
    value = exactly(bytes.fromhex(digits), ADDRESS_BYTES, "an address")
    if digits not in (digits.lower(), digits.upper()) and checksummed(value) != f"0x{digits}":
        message = f"the checksum of {text} is wrong"
        raise ValueError(message)
    return value


def checksummed(value: bytes, /) -> str:
    """Return an address as text with its checksum (EIP-55)."""
    return addresses.checksummed(value)


def domain_separator(*, name: str, version: str, chain_id: int, verifying_contract: bytes) -> bytes:
    """Return the EIP-712 domain separator of a contract."""
    return keccak(
        _DOMAIN_TYPEHASH
        + keccak(name.encode())
        + keccak(version.encode())
        + uint(chain_id)
        + address(verifying_contract)
    )


def typed_data_hash(*, domain: bytes, struct_hash: bytes) -> bytes:
    """Return the EIP-712 digest of a struct in a domain."""
    return keccak(b"\x19\x01" + domain + struct_hash)


def read_word(data: bytes, offset: int, /) -> bytes:
    """Return the word at an offset.

    :raises ValueError: if the data ends before it does.
    """
    return exactly(data[offset : offset + 32], 32, "a word")


def read_uint(data: bytes, offset: int, /) -> int:
    """Return the unsigned integer at an offset.

    :raises ValueError: if the data ends before it does.
    """
    return int.from_bytes(read_word(data, offset), "big")


def read_address(data: bytes, offset: int, /) -> bytes:
    """Return the address at an offset.

    :raises ValueError: if the data ends before it does, or the word is wider than an address.
    """
    word = read_word(data, offset)
    if any(word[:12]):
        message = "a word that should be an address is wider"
        raise ValueError(message)
    return word[12:]


def read_bytes(data: bytes, offset: int, /) -> bytes:
    """Return the dynamic byte string at an offset.

    :raises ValueError: if the data ends before it does.
    """
    length = read_uint(data, offset)
    return exactly(data[offset + 32 : offset + 32 + length], length, "a byte string")
