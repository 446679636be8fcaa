"""P-256 keys: their names, and signatures of phones' keystores and passkeys as accounts read them.

Where a signature of a key or an owner is asked for, either kind may stand: r, s, v (65 bytes), or what is made here.
"""

from __future__ import annotations

from contracts.bindings import words

RAW_BYTES = 128

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_MAX_BYTES = 4_096 - 2


def name_of(*, x: int, y: int) -> bytes:
    """Return the name (20 bytes) that stands for a P-256 key where an address of a signer does."""
    return words.keccak(words.uint(x) + words.uint(y))[12:]


def raw_signature(*, x: int, y: int, r: int, s: int) -> bytes:
    """Return a keystore's signature over a digest as it is, with its `s` brought into the lower half.

    :raises ValueError: if a number does not fit in a word.
    """
    return b"".join(words.uint(number) for number in (x, y, r, _low(s)))


def webauthn_signature(*, x: int, y: int, r: int, s: int, authenticator_data: bytes, client_data_json: bytes) -> bytes:
    """Return a passkey's assertion whose challenge was a digest; `client_data_json` as the browser gave it.

    :raises ValueError: if it has no type or challenge, or is too long for an account to take.
    """
    type_at, challenge_at = (client_data_json.find(name) for name in (b'"type":"webauthn.get"', b'"challenge":"'))
    if type_at < 0 or challenge_at < 0:
        message = "the client data names no type or no challenge"
        raise ValueError(message)
    assertion = words.arguments(
        (
            words.uint(r),
            words.uint(_low(s)),
            words.uint(challenge_at),
            words.uint(type_at),
            words.dynamic(authenticator_data),
            words.dynamic(client_data_json),
        )
    )
    return checked(words.uint(x) + words.uint(y) + assertion)


def checked(value: bytes, /) -> bytes:
    """Return a signature of either kind, r, s, v with v 27 or 28.

    :raises ValueError: if it is neither kind, malleable, or too long.
    """
    if len(value) < RAW_BYTES:
        return words.signature(value)
    if len(value) > _MAX_BYTES:
        message = f"a signature of {len(value)} bytes is too long"
        raise ValueError(message)
    if len(value) == RAW_BYTES and words.read_uint(value, 96) > _ORDER // 2:
        message = "a signature's s must be in the lower half of the curve's order"
        raise ValueError(message)
    return value


def _low(s: int) -> int:
    return min(s, _ORDER - s)
