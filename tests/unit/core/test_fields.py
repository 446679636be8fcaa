"""What a chain says, in the database's and in Python's shape."""

import decimal

import pytest
from django.core import exceptions

from openvpp.core import fields

LOWER = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # the example of EIP-55


def test_address_is_checksummed() -> None:
    field = fields.AddressField()
    assert field.to_python(LOWER) == CHECKSUMMED
    assert field.get_db_prep_value(LOWER, None) == bytes.fromhex(LOWER[2:])
    assert field.from_db_value(memoryview(bytes.fromhex(LOWER[2:]))) == CHECKSUMMED


@pytest.mark.parametrize("value", ["0x12", LOWER + "00", "zz" * 20])
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(exceptions.ValidationError):
        fields.AddressField().to_python(value)


def test_uint256_keeps_every_bit() -> None:
    field = fields.Uint256Field()
    assert field.get_prep_value(fields.UINT256_MAX) == decimal.Decimal(fields.UINT256_MAX)
    assert field.from_db_value(decimal.Decimal(fields.UINT256_MAX)) == fields.UINT256_MAX


@pytest.mark.parametrize("value", [-1, fields.UINT256_MAX + 1, "a"])
def test_what_does_not_fit_is_refused(value: object) -> None:
    with pytest.raises(exceptions.ValidationError):
        fields.Uint256Field().to_python(value)
