"""Keys that a phone keeps: their names on the chain, and whether a signature is theirs.

A public key is a JWK (RFC 7517) of P-256 or secp256k1 that `authorization_details` has read. Both are named alike by
accounts: the last 20 bytes of the Keccak-256 of x and y.
"""

import base64
from collections.abc import Mapping

import coincurve
from cryptography import exceptions as crypto_errors
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from contracts.bindings import passkeys, words
from openvpp.core import errors

_P256 = "P-256"
_RAW_BYTES = 64
_ALGORITHMS = {_P256: "ES256", "secp256k1": "ES256K"}


class UnableToAcceptSignature(errors.Invalid):
    """The signature is not this key's over this digest, or not in a form that accounts take."""


def name_of(key: Mapping[str, str], /) -> bytes:
    """Return the 20 bytes by which accounts know the key; an address where the curve is secp256k1."""
    x, y = _point(key)
    return passkeys.name_of(x=x, y=y)


def algorithm_of(key: Mapping[str, str], /) -> str:
    """Return how JOSE calls the key's signatures; the digest is signed as it is, without hashing it again."""
    return _ALGORITHMS[key["crv"]]


def is_p256(key: Mapping[str, str] | None, /) -> bool:
    """Say whether an account checks the key's signatures on P-256, which costs more gas."""
    return key is not None and key["crv"] == _P256


def accept(*, key: Mapping[str, str], digest: bytes, signature: bytes) -> bytes:
    """Return a signature over `digest` as accounts take it, its `s` in the lower half.

    P-256: r and s (64 bytes), or DER as keystores give it; they choose `s` in either half, so it is brought down.
    secp256k1: r, s and v (65 bytes), `s` in the lower half already.

    :raises UnableToAcceptSignature: another key's, over another digest, or malleable.
    """
    try:
        return _accept_p256(key, digest, signature) if is_p256(key) else _accept_secp256k1(key, digest, signature)
    except (ValueError, crypto_errors.InvalidSignature) as error:
        raise UnableToAcceptSignature(
            "The signature is not one of the grant's key over this operation's hash.", code="invalid_signature"
        ) from error


def _accept_p256(key: Mapping[str, str], digest: bytes, signature: bytes) -> bytes:
    x, y = _point(key)
    if len(signature) == _RAW_BYTES:
        r, s = words.read_uint(signature, 0), words.read_uint(signature, words.HASH_BYTES)
    else:
        r, s = utils.decode_dss_signature(signature)
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    return passkeys.raw_signature(x=x, y=y, r=r, s=s)


def _accept_secp256k1(key: Mapping[str, str], digest: bytes, signature: bytes) -> bytes:
    checked = words.signature(signature)
    recoverable = checked[:_RAW_BYTES] + bytes([checked[_RAW_BYTES] - 27])
    try:
        signer = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except Exception as error:  # the library raises a bare Exception for a point that is none
        raise ValueError("no key signed this") from error
    if words.keccak(signer.format(compressed=False)[1:])[12:] != name_of(key):
        raise ValueError("another key signed this")
    return checked


def _point(key: Mapping[str, str]) -> tuple[int, int]:
    x, y = (int.from_bytes(base64.urlsafe_b64decode(key[name] + "="), "big") for name in ("x", "y"))
    return x, y
