"""Model fields for what a chain says: uint256, addresses and 32-byte hashes."""

import decimal
from typing import Any

from django.core import exceptions
from django.db import models

from openvpp.core import addresses

UINT256_MAX = 2**256 - 1


class Uint256Field(models.DecimalField):  # type: ignore[type-arg]
    """An unsigned 256-bit integer, `int` in Python, `numeric(78, 0)` in PostgreSQL."""

    description = "Unsigned integer of 256 bits"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = 78, 0
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_digits"], kwargs["decimal_places"]
        return name, path, args, kwargs

    def from_db_value(self, value: decimal.Decimal | None, *_: object) -> int | None:
        return None if value is None else int(value)

    def to_python(self, value: Any) -> Any:
        if value is None or value == "":
            return None
        try:
            number = int(value)
        except (TypeError, ValueError) as error:
            raise exceptions.ValidationError("Enter a whole number.") from error
        if not 0 <= number <= UINT256_MAX:
            raise exceptions.ValidationError("Enter a whole number of at most 256 bits, not negative.")
        return number

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return decimal.Decimal(self.to_python(value))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002
        return value if prepared else self.get_prep_value(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        return value if hasattr(value, "as_sql") else self.get_prep_value(value)

    def formfield(self, **kwargs: Any) -> Any:
        return models.Field.formfield(self, **kwargs)


class _HexField(models.BinaryField):  # type: ignore[type-arg]
    length_bytes: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = self.length_bytes
        kwargs.setdefault("editable", True)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("max_length", None)
        return name, path, args, kwargs

    def from_db_value(self, value: bytes | memoryview | None, *_: object) -> str | None:
        return None if value is None else self._to_text(bytes(value))

    def to_python(self, value: Any) -> Any:
        if value is None or value == "":
            return None
        try:
            raw = (
                bytes(value) if isinstance(value, bytes | memoryview) else bytes.fromhex(str(value).removeprefix("0x"))
            )
        except ValueError as error:
            raise exceptions.ValidationError("Enter hexadecimal digits.") from error
        if len(raw) != self.length_bytes:
            raise exceptions.ValidationError(f"Enter {self.length_bytes} bytes in hexadecimal.")
        return self._to_text(raw)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002
        if value is None or hasattr(value, "resolve_expression"):
            return value
        text = self.to_python(value)
        return None if text is None else bytes.fromhex(text[2:])

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj) or "")

    def _to_text(self, raw: bytes) -> str:
        return "0x" + raw.hex()


class AddressField(_HexField):
    """An account on the chain: EIP-55 checksummed text in Python, 20 bytes in PostgreSQL."""

    description = "Address (20 bytes)"
    length_bytes = addresses.ADDRESS_BYTES

    def _to_text(self, raw: bytes) -> str:
        return addresses.checksummed(raw)


class HashField(_HexField):
    """A 32-byte hash: `0x` and 64 lower-case hex digits in Python, 32 bytes in PostgreSQL."""

    description = "Hash (32 bytes)"
    length_bytes = 32


class ReferenceField(_HexField):
    """A random 16-byte reference that names a payment on the chain."""

    description = "Reference (16 bytes)"
    length_bytes = 16
