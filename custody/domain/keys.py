"""secp256k1 keys in memory: they sign, and show nothing but their address."""

from typing import Any, Protocol

import coincurve

from contracts.bindings import words

_RECOVERY_BASE = 27
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


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


class Signer(Protocol):
    """Whatever holds a private key and signs with it: this process, a hardware module, a cloud's key service."""

    address: str

    def sign(self, *, digest: bytes) -> bytes:
        """Sign a 32-byte digest as is: r, s in the lower half, v 27 or 28."""
        ...


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


def address_of(*, public_key: bytes) -> str:
    """Return the address of an uncompressed point: 0x04, x, y.

    :raises ValueError: it is no point of the curve.
    """
    point: bytes = coincurve.PublicKey(public_key).format(compressed=False)
    return words.checksummed(words.keccak(point[1:])[12:])


def complete(*, r: int, s: int, digest: bytes, address: str) -> bytes:
    """Return r, s, v of a signature that came without v and with either s.

    It gets the lower s, and the v that recovers to `address`, found by trial.

    :raises ValueError: the signature is not of this address over this digest.
    """
    low = min(s, ORDER - s)
    if not (0 < r < ORDER and low > 0):
        raise ValueError("no signature")
    for v in (_RECOVERY_BASE, _RECOVERY_BASE + 1):
        signature = r.to_bytes(32, "big") + low.to_bytes(32, "big") + bytes([v])
        if _recovers(digest=digest, signature=signature, address=address):
            return signature
    raise ValueError("the signature is of another key or another digest")


def _recovers(*, digest: bytes, signature: bytes, address: str) -> bool:
    try:
        return recover(digest=digest, signature=signature) == address
    except ValueError:
        return False
