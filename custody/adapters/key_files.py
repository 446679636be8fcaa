"""Key-encryption keys from files; only the signer's process and `rewrap_keys` read them."""

import os
import pathlib
import stat

from custody.adapters import backends
from custody.domain import keys, sealing

_HEX_DIGITS = 2 * sealing.SECRET_BYTES


class UnableToReadKeyFile(Exception):
    """The file is absent, open to others, or holds no 256-bit key."""


def load_ring(*, path: str, older: tuple[str, ...] = ()) -> sealing.Ring:
    """Return the ring of the key in `path` and of older ones that may still open seals.

    :raises UnableToReadKeyFile: with what to do about it.
    """
    return sealing.Ring(
        current=_read(path), older=tuple(_read(each) for each in older), open_reference=backends.open_reference
    )


def load_ring_from_environment() -> sealing.Ring:
    """Return the ring of the key-encryption key and, while keys are being wrapped anew, of the one before.

    The key is in `KEK_FILE`, or is a key of AWS KMS (`KEK_KMS_KEY`) or of a hardware module (`KEK_PKCS11_LABEL`); the
    one before likewise, in `KEK_PREVIOUS_FILE`, `KEK_PREVIOUS_KMS_KEY` or `KEK_PREVIOUS_PKCS11_LABEL`.

    :raises UnableToReadKeyFile: with what to do about it.
    """
    current = _wrapper("KEK_")
    if current is None:
        raise UnableToReadKeyFile("Set KEK_FILE to the file of the key-encryption key (64 hexadecimal digits).")
    previous = _wrapper("KEK_PREVIOUS_")
    older = () if previous is None else (previous,)
    return sealing.Ring(current=current, older=older, open_reference=backends.open_reference)


def _wrapper(prefix: str) -> sealing.Wrapper | None:
    """Return the key-encryption key that the environment names so, if it names one."""
    if key_id := os.environ.get(f"{prefix}KMS_KEY"):
        from custody.adapters import kms  # noqa: PLC0415 - only where it is used

        return kms.Wrapper(key_id=key_id)
    if label := os.environ.get(f"{prefix}PKCS11_LABEL"):
        from custody.adapters import hardware  # noqa: PLC0415 - loads a vendor's library

        return hardware.Wrapper(label=label)
    path = os.environ.get(f"{prefix}FILE")
    return _read(path) if path else None


def _read(path: str) -> sealing.KeyEncryptionKey:
    try:
        mode = pathlib.Path(path).stat().st_mode
    except OSError as error:
        raise UnableToReadKeyFile(f"{path} cannot be read: {error.strerror}.") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise UnableToReadKeyFile(f"{path} is open to others: chmod 600 it.")
    key = _parse(path)
    if key is None:
        raise UnableToReadKeyFile(f"{path} does not hold {_HEX_DIGITS} hexadecimal digits.")
    return key


def _parse(path: str) -> sealing.KeyEncryptionKey | None:
    """Return the key, or None; what the file says never reaches an error."""
    try:
        secret = keys.Secret(bytes.fromhex(pathlib.Path(path).read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return None
    if len(secret.reveal()) != sealing.SECRET_BYTES:
        return None
    return sealing.KeyEncryptionKey(secret)
