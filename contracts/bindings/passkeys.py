"""P-256 keys: their names, and signatures of phones' keystores and passkeys as accounts read them.

Where a signature of a key or an owner is asked for, either kind may stand: r, s, v (65 bytes), or what is made here.
"""

from __future__ import annotations

import dataclasses

from contracts.bindings import words

RAW_BYTES = 128
KEY_BYTES = 64

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A passkey's assertion as accounts read it: coordinates, signature, and where in the client data what begins."""

    x: int
    y: int
    r: int
    s: int
    challenge_at: int
    type_at: int
    authenticator_data: bytes
    client_data_json: bytes


def read_webauthn(signature: bytes, /) -> Assertion:
    """Return the assertion that `webauthn_signature` wrote.

    :raises ValueError: if it is none, or not written like that.
    """
    auth = signature[KEY_BYTES:]
    r, s, challenge_at, type_at, data_at, json_at = (words.read_uint(auth, 32 * i) for i in range(6))
    found = Assertion(
        x=words.read_uint(signature, 0),
        y=words.read_uint(signature, 32),
        r=r,
        s=s,
        challenge_at=challenge_at,
        type_at=type_at,
        authenticator_data=words.read_bytes(auth, data_at),
        client_data_json=words.read_bytes(auth, json_at),
    )
    fields = {name: getattr(found, name) for name in ("x", "y", "r", "s", "authenticator_data", "client_data_json")}
    if webauthn_signature(**fields) != signature:
        message = "the assertion is not written as accounts read it"
        raise ValueError(message)
    return found


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
