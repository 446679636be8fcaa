"""A user operation that is whole but for its key's signature: as it is kept, and as a phone is shown it."""

from collections.abc import Mapping
from typing import Any

from contracts.bindings import user_operations, words

_BYTES = ("sender", "init_code", "call_data", "paymaster_and_data")
_NUMBERS = (
    "nonce",
    "verification_gas_limit",
    "call_gas_limit",
    "pre_verification_gas",
    "max_priority_fee_per_gas",
    "max_fee_per_gas",
)


def to_json(operation: user_operations.UserOperation, /) -> dict[str, str]:
    """Return it as a row keeps it."""
    return {name: "0x" + getattr(operation, name).hex() for name in _BYTES} | {
        name: str(getattr(operation, name)) for name in _NUMBERS
    }


def from_json(value: Mapping[str, str], /) -> user_operations.UserOperation:
    """Return what `to_json` wrote, unsigned."""
    fields: dict[str, Any] = {name: bytes.fromhex(value[name][2:]) for name in _BYTES}
    fields |= {name: int(value[name]) for name in _NUMBERS}
    return user_operations.UserOperation(**fields)


def shown(operation: user_operations.UserOperation, /) -> dict[str, str]:
    """Return the members from which a phone computes the hash itself (ERC-4337, EntryPoint v0.8).

    Of `paymasterAndData` it is told the hash alone, which is all that the hash needs: the sponsor's signature leaves
    this server with the whole operation only, so that a withdrawn grant's operation is sponsored nowhere else.
    """
    return {
        "sender": words.checksummed(operation.sender),
        "nonce": str(operation.nonce),
        "init_code": "0x" + operation.init_code.hex(),
        "call_data": "0x" + operation.call_data.hex(),
        "account_gas_limits": "0x" + operation.account_gas_limits.hex(),
        "pre_verification_gas": str(operation.pre_verification_gas),
        "gas_fees": "0x" + operation.gas_fees.hex(),
        "paymaster_and_data_hash": "0x" + words.keccak(operation.paymaster_and_data).hex(),
    }
