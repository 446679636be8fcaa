"""A phone: a P-256 key that signs digests as they are, and as a passkey."""

import base64
import dataclasses
import functools
import hashlib
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from contracts.bindings import passkeys


@dataclasses.dataclass(frozen=True)
class Phone:
    """Signs with one key, made from a secret number."""

    secret: int

    @functools.cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(self.secret, ec.SECP256R1())

    @property
    def point(self) -> tuple[int, int]:
        numbers = self._key.public_key().public_numbers()
        return numbers.x, numbers.y

    @property
    def address(self) -> bytes:
        """Return the name of its key."""
        x, y = self.point
        return passkeys.name_of(x=x, y=y)

    def sign(self, digest: bytes) -> bytes:
        """Return the keystore's signature."""
        x, y = self.point
        r, s = self._sign(digest)
        return passkeys.raw_signature(x=x, y=y, r=r, s=s)

    def attest(self, digest: bytes, *, flags: int = 0x05) -> bytes:
        """Return the passkey's assertion as accounts read it."""
        x, y = self.point
        authenticator_data, client_data, (r, s) = self._assert(digest, flags=flags)
        return passkeys.webauthn_signature(
            x=x, y=y, r=r, s=s, authenticator_data=authenticator_data, client_data_json=client_data
        )

    def assertion(self, digest: bytes) -> dict[str, str]:
        """Return the passkey's assertion as a browser writes it in JSON."""
        authenticator_data, client_data, (r, s) = self._assert(digest, flags=0x05)
        parts = {
            "authenticator_data": authenticator_data,
            "client_data_json": client_data,
            "signature": utils.encode_dss_signature(r, s),
        }
        return {name: base64.urlsafe_b64encode(part).rstrip(b"=").decode() for name, part in parts.items()}

    def _assert(self, digest: bytes, *, flags: int) -> tuple[bytes, bytes, tuple[int, int]]:
        authenticator_data = hashlib.sha256(b"utility.example").digest() + bytes([flags]) + bytes(4)
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        client = {"type": "webauthn.get", "challenge": challenge, "origin": "https://utility.example"}
        client_data = json.dumps(client, separators=(",", ":")).encode()
        signed = hashlib.sha256(authenticator_data + hashlib.sha256(client_data).digest()).digest()
        return authenticator_data, client_data, self._sign(signed)

    def _sign(self, digest: bytes) -> tuple[int, int]:
        return utils.decode_dss_signature(self._key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
