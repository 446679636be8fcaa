"""A customer's proof that they hold the key which is to own their wallet: that key's signature of a sentence."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography import exceptions as crypto_errors
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from contracts.bindings import passkeys, words
from custody.domain import keys

# Authenticator data (WebAuthn, section 6.1): 32 bytes of the relying party's hash, flags, 4 bytes of a counter.
_FLAGS_AT, _LEAST_DATA_BYTES = 32, 36
_PRESENT_AND_VERIFIED, _MAY_BE_BACKED_UP, _BACKED_UP = 0x05, 0x08, 0x10

TERMS = "ovpp_recovery"
"""The type of terms by which a customer wants their wallet back: `wallet`, `chain_id`, `new_owner`, `recovery_id`, and
`signature`, hexadecimal, of the key `new_owner` over `digest`."""


def message(*, wallet: str, chain_id: int, new_owner: str, recovery_id: str) -> str:
    """Return the sentence that the new key signs; good for one recovery of one wallet."""
    return (
        f"I hold the key {new_owner} and want it to own the wallet {wallet} on chain {chain_id}. "
        f"Recovery {recovery_id}. This pays nothing."
    )


def digest(*, text: str) -> bytes:
    """Return what a key signs of a sentence, as wallets sign messages (ERC-191, version 0x45)."""
    encoded = text.encode()
    return words.keccak(b"\x19Ethereum Signed Message:\n" + str(len(encoded)).encode() + encoded)


def is_signed_by(*, key: str, digest: bytes, signature: bytes) -> bool:
    """Say whether a signature is of this key, an address or the name of a P-256 key, over a digest.

    secp256k1: r, s, v (65 bytes); P-256: x, y, r, s (128 bytes), or a passkey's assertion whose challenge is the digest
    (`passkeys.webauthn_signature`); `s` in the lower half in all, as accounts take them.
    """
    try:
        passkeys.checked(signature)
        if len(signature) < passkeys.RAW_BYTES:
            return keys.recover(digest=digest, signature=signature) == key
        x, y, r, s, signed = _read_p256(signature, digest=digest)
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        public.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except (ValueError, crypto_errors.InvalidSignature):
        return False
    except Exception:  # noqa: BLE001 - coincurve raises a bare Exception for a point that is none
        return False
    return words.checksummed(passkeys.name_of(x=x, y=y)) == key


def _read_p256(signature: bytes, *, digest: bytes) -> tuple[int, int, int, int, bytes]:
    """Return x, y, r, s, and the 32 bytes that they are over.

    :raises ValueError: an assertion that no account takes: not of this challenge, or of a user who was not verified.
    """
    if len(signature) == passkeys.RAW_BYTES:
        x, y, r, s = (words.read_uint(signature, 32 * i) for i in range(4))
        return x, y, r, s, digest
    found = passkeys.read_webauthn(signature)
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    if not found.client_data_json[found.challenge_at :].startswith(b'"challenge":"' + challenge + b'"'):
        raise ValueError("the assertion is of another challenge")
    flags = found.authenticator_data[_FLAGS_AT] if len(found.authenticator_data) > _LEAST_DATA_BYTES else 0
    if flags & _PRESENT_AND_VERIFIED != _PRESENT_AND_VERIFIED or (flags & _BACKED_UP and not flags & _MAY_BE_BACKED_UP):
        raise ValueError("the authenticator did not verify its user")
    client_data = hashlib.sha256(found.client_data_json).digest()
    return found.x, found.y, found.r, found.s, hashlib.sha256(found.authenticator_data + client_data).digest()


def is_proven(*, terms: Mapping[str, Any]) -> bool:
    """Say whether the terms carry the new key's signature of their own sentence."""
    try:
        names = ("wallet", "chain_id", "new_owner", "recovery_id")
        text = message(**{name: terms[name] for name in names})
        signature = bytes.fromhex(str(terms["signature"]).removeprefix("0x"))
    except (KeyError, ValueError):
        return False
    return is_signed_by(key=str(terms["new_owner"]), digest=digest(text=text), signature=signature)
