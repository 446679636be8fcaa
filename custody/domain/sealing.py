"""Envelope encryption of private keys: AES-256-GCM under a data key each, which a key-encryption key wraps.

Raw secrets never stand in a local variable while something may fail: a traceback that prints its locals prints objects
whose `repr` tells nothing.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography import exceptions as crypto_exceptions
from cryptography.hazmat.primitives.ciphers import aead

from custody.domain import keys

SECRET_BYTES = 32
NONCE_BYTES = 12
REFERENCE = b"openvpp key reference\x00"
NOT_TOGETHER = "The seal does not belong to this key's purpose, subject, policy and address."


class UnableToOpenSeal(Exception):
    """The sealed key does not open: moved, altered, or wrapped by another key-encryption key."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a seal belongs to; any change of it and the seal does not open."""

    purpose: str
    subject: str
    policy: Mapping[str, Any]
    address: str

    def associated_data(self) -> bytes:
        """Return the canonical bytes that are authenticated with the ciphertext."""
        bound = {
            "v": 1,
            "purpose": self.purpose,
            "subject": self.subject,
            "policy_sha256": hashlib.sha256(canonical(self.policy)).hexdigest(),
            "address": self.address.lower(),
        }
        return canonical(bound)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A sealed key as the database keeps it."""

    ciphertext: bytes
    nonce: bytes
    wrapped_data_key: bytes
    wrap_nonce: bytes
    key_encryption_key_id: str


class Wrapper(Protocol):
    """What wraps data keys: a key of this process, of a hardware module, of a cloud's key service."""

    id: str

    def wrap(self, *, data_key: keys.Secret, nonce: bytes, associated_data: bytes) -> bytes: ...

    def unwrap(self, *, wrapped: bytes, nonce: bytes, associated_data: bytes) -> keys.Secret | None:
        """Return the data key, or None when it was not wrapped by this key for this binding."""
        ...


class KeyEncryptionKey:
    """A 256-bit key that wraps data keys. It shows its id alone, which is derived from it and tells nothing of it."""

    __slots__ = ("_aead", "id")

    def __init__(self, secret: keys.Secret) -> None:
        self._aead = aead.AESGCM(secret.reveal())
        self.id = hashlib.sha256(b"openvpp key-encryption key\x00" + secret.reveal()).hexdigest()[:32]

    def __repr__(self) -> str:
        return f"KeyEncryptionKey({self.id})"

    def __reduce__(self) -> Any:
        raise TypeError("A key-encryption key is not written down.")

    def wrap(self, *, data_key: keys.Secret, nonce: bytes, associated_data: bytes) -> bytes:
        return self._aead.encrypt(nonce, data_key.reveal(), self._bound(associated_data))

    def unwrap(self, *, wrapped: bytes, nonce: bytes, associated_data: bytes) -> keys.Secret | None:
        """Return the data key, or None when it was not wrapped by this key for this binding."""
        try:
            return keys.Secret(self._aead.decrypt(nonce, wrapped, self._bound(associated_data)))
        except crypto_exceptions.InvalidTag:
            return None

    def _bound(self, associated_data: bytes) -> bytes:
        return self.id.encode() + b"\x00" + associated_data


# Opens a key that is held elsewhere: its reference, its address.
OpenReference = Callable[[str, str], keys.Signer]


class Ring:
    """The key-encryption key that seals, and older ones that may still open.

    What is sealed is a private key, or the reference of one that is held elsewhere and never leaves there.
    """

    __slots__ = ("_by_id", "_open_reference", "current")

    def __init__(
        self, *, current: Wrapper, older: tuple[Wrapper, ...] = (), open_reference: OpenReference | None = None
    ) -> None:
        self.current = current
        self._open_reference = open_reference
        self._by_id = {key.id: key for key in (*older, current)}

    def __repr__(self) -> str:
        return f"Ring({', '.join(self._by_id)})"

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._by_id)

    def seal(self, *, secret: keys.Secret, binding: Binding) -> Seal:
        """Seal a secret for its binding under a fresh data key."""
        data_key = keys.Secret(aead.AESGCM.generate_key(bit_length=256))
        nonce, wrap_nonce = os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
        bound = binding.associated_data()
        return Seal(
            ciphertext=aead.AESGCM(data_key.reveal()).encrypt(nonce, secret.reveal(), bound),
            nonce=nonce,
            wrapped_data_key=self.current.wrap(data_key=data_key, nonce=wrap_nonce, associated_data=bound),
            wrap_nonce=wrap_nonce,
            key_encryption_key_id=self.current.id,
        )

    def open(self, *, seal: Seal, binding: Binding) -> keys.Signer:
        """Return what signs for a seal.

        :raises UnableToOpenSeal: the key-encryption key is absent, or row and seal do not belong together.
        """
        key = self._signer(secret=self._decrypt(seal=seal, binding=binding), address=binding.address)
        if key is None or key.address.lower() != binding.address.lower():
            raise UnableToOpenSeal(NOT_TOGETHER)
        return key

    def reseal(self, *, seal: Seal, binding: Binding, to: Binding) -> Seal:
        """Return a new seal of the same secret, bound to something else.

        :raises UnableToOpenSeal: as for `open`.
        """
        return self.seal(secret=self._decrypt(seal=seal, binding=binding), binding=to)

    def rewrap(self, *, seal: Seal, binding: Binding) -> Seal:
        """Return the same seal with its data key wrapped by the current key-encryption key.

        :raises UnableToOpenSeal: as for `open`.
        """
        wrap_nonce, bound = os.urandom(NONCE_BYTES), binding.associated_data()
        wrapped = self.current.wrap(
            data_key=self._unwrap(seal=seal, associated_data=bound), nonce=wrap_nonce, associated_data=bound
        )
        return dataclasses.replace(
            seal, wrapped_data_key=wrapped, wrap_nonce=wrap_nonce, key_encryption_key_id=self.current.id
        )

    def _signer(self, *, secret: keys.Secret, address: str) -> keys.Signer | None:
        if not secret.reveal().startswith(REFERENCE):
            return _read_private(secret)
        if self._open_reference is None:
            raise UnableToOpenSeal("The key is held elsewhere, and this process cannot reach it.")
        return self._open_reference(secret.reveal()[len(REFERENCE) :].decode(), address)

    def _decrypt(self, *, seal: Seal, binding: Binding) -> keys.Secret:
        bound = binding.associated_data()
        data_key = self._unwrap(seal=seal, associated_data=bound)
        secret = _decrypt(data_key=data_key, seal=seal, associated_data=bound)
        if secret is None:
            raise UnableToOpenSeal(NOT_TOGETHER)
        return secret

    def _unwrap(self, *, seal: Seal, associated_data: bytes) -> keys.Secret:
        wrapper = self._by_id.get(seal.key_encryption_key_id)
        if wrapper is None:
            raise UnableToOpenSeal(f"The key-encryption key {seal.key_encryption_key_id} is not here.")
        data_key = wrapper.unwrap(wrapped=seal.wrapped_data_key, nonce=seal.wrap_nonce, associated_data=associated_data)
        if data_key is None:
            raise UnableToOpenSeal(NOT_TOGETHER)
        return data_key


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the one JSON text of a mapping: sorted, without spaces, ASCII."""
    return _CANONICAL.encode(value).encode()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def reference(text: str) -> keys.Secret:
    """Return what is sealed of a key that is held elsewhere."""
    return keys.Secret(REFERENCE + text.encode())


def _decrypt(*, data_key: keys.Secret, seal: Seal, associated_data: bytes) -> keys.Secret | None:
    try:
        return keys.Secret(aead.AESGCM(data_key.reveal()).decrypt(seal.nonce, seal.ciphertext, associated_data))
    except (crypto_exceptions.InvalidTag, ValueError):
        return None


def _read_private(secret: keys.Secret) -> keys.PrivateKey | None:
    try:
        return keys.PrivateKey(secret)
    except ValueError:
        return None
