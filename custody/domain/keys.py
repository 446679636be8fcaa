"""secp256k1 keys in memory: they sign, and show nothing but their address."""

from typing import Any

import coincurve

from contracts.bindings import words

_RECOVERY_BASE = 27


class Secret:
    """Bytes that neither printing, nor pickling, nor a traceback's locals give away."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> Any:
        raise TypeError("A secret is not written down.")

    def reveal(self) -> bytes:
        """Return the bytes; never bind them to a name."""
        return self._value


class PrivateKey:
    """A private key.

    :raises ValueError: the secret is no private key of the curve.
    """

    __slots__ = ("_key", "address")

    def __init__(self, secret: Secret) -> None:
        self._key = coincurve.PrivateKey(secret.reveal())
        self.address = words.checksummed(words.keccak(self._key.public_key.format(compressed=False)[1:])[12:])

    def __repr__(self) -> str:
        return f"PrivateKey({self.address})"

    def __reduce__(self) -> Any:
        raise TypeError("A private key is not written down.")

    @classmethod
    def generate(cls) -> "PrivateKey":
        """Make a new key from the system's randomness."""
        return cls(Secret(coincurve.PrivateKey().secret))

    def secret(self) -> Secret:
        """Return what is to be sealed."""
        return Secret(self._key.secret)

    def sign(self, *, digest: bytes) -> bytes:
        """Sign a 32-byte digest as is: r, s in the lower half, v 27 or 28."""
        signature: bytes = self._key.sign_recoverable(words.exactly(digest, words.HASH_BYTES, "a digest"), hasher=None)
        return signature[:64] + bytes([signature[64] + _RECOVERY_BASE])


def recover(*, digest: bytes, signature: bytes) -> str:
    """Return the address that made a 65-byte signature over a digest.

    :raises ValueError: it is no signature, or a malleable one.
    """
    checked = words.signature(signature)
    public = coincurve.PublicKey.from_signature_and_message(
        checked[:64] + bytes([checked[64] - _RECOVERY_BASE]), digest, hasher=None
    )
    return words.checksummed(words.keccak(public.format(compressed=False)[1:])[12:])
