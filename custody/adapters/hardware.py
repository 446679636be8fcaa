"""Keys in a hardware module, over PKCS#11: they are made there, sign there, and never leave."""

import functools
import os
import threading
from typing import Any

import pkcs11
from pkcs11 import mechanisms
from pkcs11.util import ec as pkcs11_ec

from custody.domain import keys
from openvpp.core import errors

SCHEME = "pkcs11:"
_SCALAR_BYTES = 32
_TAG_BITS = 128
# A session of the module serves one call at a time.
_LOCK = threading.Lock()


class UnableToUseModule(errors.Unreachable):
    """The hardware module does not answer, or has no such key."""


class Key:
    """A secp256k1 key in the module."""

    __slots__ = ("_label", "address")

    def __init__(self, *, label: str, address: str) -> None:
        self._label = label
        self.address = address

    def __repr__(self) -> str:
        return f"hardware.Key({self.address})"

    @classmethod
    def generate(cls, *, label: str) -> "Key":
        """Make a key in the module that cannot be taken out of it.

        :raises UnableToUseModule: the module does not make one.
        """
        with _LOCK:
            try:
                curve = _session().create_domain_parameters(
                    pkcs11.KeyType.EC,
                    {pkcs11.Attribute.EC_PARAMS: pkcs11_ec.encode_named_curve_parameters("1.3.132.0.10")},
                    local=True,
                )
                public, _private = curve.generate_keypair(
                    mechanism=mechanisms.Mechanism.EC_KEY_PAIR_GEN,
                    store=True,
                    label=label,
                    private_template={
                        pkcs11.Attribute.SENSITIVE: True,
                        pkcs11.Attribute.EXTRACTABLE: False,
                        pkcs11.Attribute.PRIVATE: True,
                    },
                )
                # An OCTET STRING of two bytes around the uncompressed point.
                point = bytes(public[pkcs11.Attribute.EC_POINT])[2:]
            except pkcs11.exceptions.PKCS11Error as error:
                raise UnableToUseModule(f"The hardware module made no key: {type(error).__name__}") from None
        return cls(label=label, address=keys.address_of(public_key=point))

    @property
    def reference(self) -> str:
        """Return what names the key."""
        return SCHEME + self._label

    def sign(self, *, digest: bytes) -> bytes:
        """Sign a 32-byte digest as is: r, s in the lower half, v 27 or 28.

        :raises UnableToUseModule: the module does not answer, has no such key, or signed by another.
        """
        with _LOCK:
            try:
                private = _session().get_key(label=self._label, object_class=pkcs11.ObjectClass.PRIVATE_KEY)
                raw = bytes(private.sign(digest, mechanism=mechanisms.Mechanism.ECDSA))
            except pkcs11.exceptions.PKCS11Error as error:
                _session.cache_clear()
                raise UnableToUseModule(f"The hardware module did not sign: {type(error).__name__}") from None
        try:
            return keys.complete(
                r=int.from_bytes(raw[:_SCALAR_BYTES], "big"),
                s=int.from_bytes(raw[_SCALAR_BYTES:], "big"),
                digest=digest,
                address=self.address,
            )
        except ValueError as error:
            raise UnableToUseModule(f"The hardware module signed something else: {error}") from None


class Wrapper:
    """A key-encryption key in the module (AES-256-GCM); made there if it is not there yet."""

    __slots__ = ("_label", "id")

    def __init__(self, *, label: str) -> None:
        self._label = label
        self.id = f"{SCHEME}{label}"[:64]
        with _LOCK:
            try:
                self._find()
            except pkcs11.exceptions.NoSuchKey:
                _session().generate_key(
                    pkcs11.KeyType.AES,
                    256,
                    label=label,
                    store=True,
                    template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
                )
            except pkcs11.exceptions.PKCS11Error as error:
                raise UnableToUseModule(f"The hardware module does not answer: {type(error).__name__}") from None

    def __repr__(self) -> str:
        return f"hardware.Wrapper({self.id})"

    def wrap(self, *, data_key: keys.Secret, nonce: bytes, associated_data: bytes) -> bytes:
        with _LOCK:
            try:
                return bytes(
                    self._find().encrypt(
                        data_key.reveal(),
                        mechanism=mechanisms.Mechanism.AES_GCM,
                        mechanism_param=self._parameters(nonce, associated_data),
                    )
                )
            except pkcs11.exceptions.PKCS11Error as error:
                raise UnableToUseModule(f"The hardware module did not wrap: {type(error).__name__}") from None

    def unwrap(self, *, wrapped: bytes, nonce: bytes, associated_data: bytes) -> keys.Secret | None:
        """Return the data key, or None when it was not wrapped by this key for this binding."""
        with _LOCK:
            try:
                return keys.Secret(
                    bytes(
                        self._find().decrypt(
                            wrapped,
                            mechanism=mechanisms.Mechanism.AES_GCM,
                            mechanism_param=self._parameters(nonce, associated_data),
                        )
                    )
                )
            except (pkcs11.exceptions.EncryptedDataInvalid, pkcs11.exceptions.FunctionFailed):
                return None
            except pkcs11.exceptions.GeneralError:
                return None
            except pkcs11.exceptions.PKCS11Error as error:
                raise UnableToUseModule(f"The hardware module did not unwrap: {type(error).__name__}") from None

    def _find(self) -> Any:
        return _session().get_key(label=self._label, object_class=pkcs11.ObjectClass.SECRET_KEY)

    def _parameters(self, nonce: bytes, associated_data: bytes) -> Any:
        return mechanisms.GCMParams(nonce, self.id.encode() + b"\x00" + associated_data, _TAG_BITS)


@functools.cache
def _session() -> Any:
    """Return a session with the token of the environment: `PKCS11_MODULE`, `PKCS11_TOKEN`, `PKCS11_PIN_FILE`."""
    try:
        with open(os.environ["PKCS11_PIN_FILE"], encoding="utf-8") as file:  # noqa: PTH123 - read once
            pin = file.read().strip()
        token = pkcs11.lib(os.environ["PKCS11_MODULE"]).get_token(token_label=os.environ["PKCS11_TOKEN"])
        return token.open(rw=True, user_pin=pin)
    except (KeyError, OSError, RuntimeError, pkcs11.exceptions.PKCS11Error) as error:
        raise UnableToUseModule(f"The hardware module cannot be opened: {type(error).__name__} {error}") from None
