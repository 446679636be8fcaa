"""The key to which a customer takes their account: an address of theirs, or a P-256 key of their phone or passkey."""

import dataclasses

from cryptography.hazmat.primitives.asymmetric import ec

from contracts.bindings import passkeys, words


class UnableToReadNewOwner(ValueError):
    """It is no address with its checksum, or no key of the curve."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewOwner:
    """A key by its address, or by its name and its coordinates."""

    address: str
    passkey: dict[str, str] | None = None


def of_address(text: str, /) -> NewOwner:
    """Return the owner of an address, which must be written with its checksum (EIP-55).

    :raises UnableToReadNewOwner: it is not, or it is zero.
    """
    try:
        value = words.parse_address(text)
    except ValueError:
        raise UnableToReadNewOwner("That is no address; letter for letter, with its capitals (EIP-55).") from None
    if words.checksummed(value) != text or value == words.ZERO_ADDRESS:
        raise UnableToReadNewOwner(
            "The address must be written with its checksum, in capitals and small letters (EIP-55)."
        )
    return NewOwner(address=text)


def of_passkey(*, x: str, y: str) -> NewOwner:
    """Return the owner of a P-256 key's coordinates, each `0x` and 64 hexadecimal digits.

    :raises UnableToReadNewOwner: no point of the curve.
    """
    try:
        point = [
            int.from_bytes(words.exactly(bytes.fromhex(text.removeprefix("0x")), 32, "a number")) for text in (x, y)
        ]
        ec.EllipticCurvePublicNumbers(x=point[0], y=point[1], curve=ec.SECP256R1()).public_key()
    except ValueError:
        raise UnableToReadNewOwner("These are no coordinates of a P-256 key.") from None
    name = passkeys.name_of(x=point[0], y=point[1])
    return NewOwner(address=words.checksummed(name), passkey={"x": x, "y": y})
