"""Addresses of accounts on a chain, as text."""

import functools

import sha3

ADDRESS_BYTES = 20
# The same few treasuries, tokens and contracts stand in nearly every row and log.
_REMEMBERED = 1 << 14


@functools.lru_cache(maxsize=_REMEMBERED)
def checksummed(value: bytes, /) -> str:
    """Return an address of 20 bytes as text with its checksum (EIP-55).

    :raises ValueError: it has another length.
    """
    if len(value) != ADDRESS_BYTES:
        raise ValueError(f"an address must be {ADDRESS_BYTES} bytes long, not {len(value)}")
    digits = value.hex()
    nibbles = sha3.keccak_256(digits.encode()).hexdigest()
    return "0x" + "".join(d.upper() if n > "7" else d for d, n in zip(digits, nibbles, strict=False))
