"""Readings signed where they were measured: the bytes that a device signs, and whether a signature is its own.

The bytes are these lines, in UTF-8, joined by a line feed, without one at the end:

    openvpp-reading-v1
    the utility's slug
    the service point's number
    flow: delivered, received or net
    unit, as it is sent: Wh, kWh, kVAh, kvarh or kW
    quality, as it is sent
    start of the first interval, whole seconds since 1970 (UTC)
    length of an interval, whole seconds
    counter: a whole number that the key never uses twice, greater for whatever corrects an earlier reading
    the values in whole millionths of the unit, joined by commas; nothing where there is none

Ed25519 signs them as they are (RFC 8032); P-256 and secp256k1 sign their SHA-256, `r` and `s` of 32 bytes each.
"""

import dataclasses
import decimal
import enum
import hashlib
from collections.abc import Sequence

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

VERSION = "openvpp-reading-v1"
SIGNATURE_BYTES = 64
_MILLIONTHS = decimal.Decimal(10**6)


class Algorithm(enum.StrEnum):
    """How a device signs."""

    ED25519 = "ed25519"
    P256 = "p256"
    SECP256K1 = "secp256k1"


class Unsignable(ValueError):
    """A value is finer than a millionth of its unit, or a public key is none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a signature is for; see the module."""

    utility: str
    service_point: str
    flow: str
    unit: str
    quality: str
    starts: int
    interval_seconds: int
    counter: int
    values: Sequence[decimal.Decimal | None]

    def to_bytes(self) -> bytes:
        """Return what the device signs.

        :raises Unsignable: a value is finer than a millionth of the unit.
        """
        head = (VERSION, self.utility, self.service_point, self.flow, self.unit, self.quality)
        numbers = (str(self.starts), str(self.interval_seconds), str(self.counter))
        return "\n".join([*head, *numbers, ",".join(_millionths(value) for value in self.values)]).encode()


def is_genuine(*, algorithm: Algorithm, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether a key made a signature of a message.

    :raises Unsignable: the public key is none.
    """
    if len(signature) != SIGNATURE_BYTES:
        return False
    key = _load(algorithm=algorithm, public_key=public_key)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (exceptions.InvalidSignature, ValueError):
        return False
    return True


def fingerprint(*, algorithm: Algorithm, public_key: bytes) -> str:
    """Return the name of a public key: SHA-256 of its algorithm's name and its bytes, in hex.

    :raises Unsignable: it is none: 32 bytes for Ed25519, 33 or 65 (SEC 1) on the curves.
    """
    _load(algorithm=algorithm, public_key=public_key)
    return hashlib.sha256(f"{algorithm.value}:".encode() + public_key).hexdigest()


def _load(*, algorithm: Algorithm, public_key: bytes) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
    try:
        if algorithm is Algorithm.ED25519:
            return ed25519.Ed25519PublicKey.from_public_bytes(public_key)
        curve = ec.SECP256R1() if algorithm is Algorithm.P256 else ec.SECP256K1()
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, public_key)
    except ValueError as error:
        raise Unsignable(f"This is no {algorithm.value} public key.") from error


def _millionths(value: decimal.Decimal | None) -> str:
    if value is None:
        return ""
    scaled = value * _MILLIONTHS
    if scaled != scaled.to_integral_value():
        raise Unsignable(f"{value} is finer than a millionth of the unit.")
    return str(int(scaled))
