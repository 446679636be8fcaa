"""Signatures of devices: the bytes are fixed, and only the key's own signature of exactly these is believed."""

import decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from meters.domain import signed_readings

READING: dict[str, Any] = {
    "utility": "harbor",
    "service_point": "SP-1",
    "flow": "delivered",
    "unit": "kWh",
    "quality": "raw",
    "starts": 1_780_000_200,
    "interval_seconds": 900,
    "counter": 7,
    "values": [decimal.Decimal("0.25"), None, decimal.Decimal("1e-6")],
}


def signer(algorithm: signed_readings.Algorithm) -> tuple[bytes, Any]:
    """Return a public key as it is registered, and what signs with its private one."""
    if algorithm is signed_readings.Algorithm.ED25519:
        private = ed25519.Ed25519PrivateKey.generate()
        return private.public_key().public_bytes_raw(), private.sign
    curve = ec.SECP256R1() if algorithm is signed_readings.Algorithm.P256 else ec.SECP256K1()
    key = ec.generate_private_key(curve)
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)

    def sign(message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    return point, sign


def test_the_bytes_are_these() -> None:
    assert signed_readings.Reading(**READING).to_bytes() == (
        b"openvpp-reading-v1\nharbor\nSP-1\ndelivered\nkWh\nraw\n1780000200\n900\n7\n250000,,1"
    )


def test_finer_than_a_millionth_is_not_signed() -> None:
    with pytest.raises(signed_readings.Unsignable, match="finer"):
        signed_readings.Reading(**READING | {"values": [decimal.Decimal("1e-7")]}).to_bytes()


@pytest.mark.parametrize("algorithm", list(signed_readings.Algorithm))
@pytest.mark.parametrize(
    "change",
    [
        {"utility": "other"},
        {"service_point": "SP-2"},
        {"flow": "received"},
        {"unit": "Wh"},
        {"quality": "valid"},
        {"starts": 1_780_001_100},
        {"interval_seconds": 1800},
        {"counter": 8},
        {"values": [decimal.Decimal("0.25"), decimal.Decimal(0), decimal.Decimal("1e-6")]},
    ],
)
def test_nothing_of_a_signed_reading_can_be_changed(
    algorithm: signed_readings.Algorithm, change: dict[str, Any]
) -> None:
    public_key, sign = signer(algorithm)
    message = signed_readings.Reading(**READING).to_bytes()
    signature = sign(message)
    other = signed_readings.Reading(**READING | change).to_bytes()

    def believed(text: bytes, by: bytes = public_key, said: bytes = signature) -> bool:
        return signed_readings.is_genuine(algorithm=algorithm, public_key=by, message=text, signature=said)

    assert believed(message)
    assert not believed(other)
    assert not believed(message, by=signer(algorithm)[0])
    assert not believed(message, said=signature[:-1])
    assert not believed(message, said=bytes(64))
    assert not believed(message, said=b"\xff" * 64)


@pytest.mark.parametrize("algorithm", list(signed_readings.Algorithm))
def test_what_is_no_key_is_refused(algorithm: signed_readings.Algorithm) -> None:
    for text in (b"", b"\x04" + bytes(64), bytes(31)):
        with pytest.raises(signed_readings.Unsignable, match=algorithm.value):
            signed_readings.fingerprint(algorithm=algorithm, public_key=text)
