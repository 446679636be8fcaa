"""Where keys are made and held: in this process under envelope encryption, in a hardware module, or in AWS KMS.

`KEY_BACKENDS` says which for a purpose, `relayer=kms,sponsor=pkcs11`; what it does not name is local. All of them are
`keys.Signer`, and all are sealed with their policy: a key that is held elsewhere by its reference.
"""

import os
from collections.abc import Callable
from typing import Protocol

from custody.domain import keys, sealing

LOCAL = "local"


class UnableToOpenReference(sealing.UnableToOpenSeal):
    """The reference names no backend that is known."""


def make(*, purpose: str, label: str) -> tuple[keys.Secret, str]:
    """Make a key for a purpose; return what is to be sealed of it, and its address.

    :raises errors.Unreachable: its backend does not answer.
    """
    backend = _configured().get(purpose, LOCAL)
    if backend == LOCAL:
        private = keys.PrivateKey.generate()
        return private.secret(), private.address
    made = _GENERATE[backend](label)
    return sealing.reference(made.reference), made.address


def open_reference(reference: str, address: str) -> keys.Signer:
    """Return the key that is held elsewhere under this reference.

    :raises UnableToOpenReference: no backend that is known.
    """
    scheme, _, name = reference.partition(":")
    if scheme == "kms":
        from custody.adapters import kms  # noqa: PLC0415 - only where it is used

        return kms.Key(key_id=name, address=address)
    if scheme == "pkcs11":
        from custody.adapters import hardware  # noqa: PLC0415 - loads a vendor's library

        return hardware.Key(label=name, address=address)
    raise UnableToOpenReference("The key's reference names no backend that is known here.")


def _in_kms(label: str) -> "_Elsewhere":
    from custody.adapters import kms  # noqa: PLC0415 - only where it is used

    return kms.Key.generate(label=label)


def _in_module(label: str) -> "_Elsewhere":
    from custody.adapters import hardware  # noqa: PLC0415 - loads a vendor's library

    return hardware.Key.generate(label=label)


class _Elsewhere(keys.Signer, Protocol):
    """A key with a name by which its backend finds it again."""

    @property
    def reference(self) -> str: ...


_GENERATE: dict[str, Callable[[str], _Elsewhere]] = {"kms": _in_kms, "pkcs11": _in_module}


def _configured() -> dict[str, str]:
    pairs = [pair.split("=", 1) for pair in os.environ.get("KEY_BACKENDS", "").split(",") if "=" in pair]
    found = {purpose.strip(): backend.strip() for purpose, backend in pairs}
    if unknown := sorted(set(found.values()) - {LOCAL, *_GENERATE}):
        raise ValueError(f"KEY_BACKENDS names {', '.join(unknown)}, which is none of local, pkcs11, kms.")
    return found
