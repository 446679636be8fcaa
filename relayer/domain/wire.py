"""Operations and receipts as ERC-7769 writes them for EntryPoints from v0.7 on."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from contracts.bindings import delegations, user_operations, words
from relayer.domain import codes

MAX_CALL_DATA = 128 * 1024
_GAS_BITS = 40
_PRICE_BITS = 96
_CHAIN_BITS, _WORD_BITS = 64, 256
_PAYMASTER_GAS = ("paymasterVerificationGasLimit", "paymasterPostOpGasLimit")
_DELEGATED = "0x7702"
_QUANTITY = re.compile(r"0x[0-9a-fA-F]*")
_MARKER = user_operations.EIP7702_MARKER


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An operation as it came in, with the EIP-7702 authorisation that says whose code its sender runs, if any."""

    operation: user_operations.UserOperation
    authorization: delegations.Authorization | None = None

    @property
    def delegate(self) -> bytes | None:
        """Return whose code the sender runs by its authorisation; the hash depends on it."""
        return None if self.authorization is None else self.authorization.delegate

    def hash(self, *, chain_id: int, entry_point: bytes) -> bytes:
        """Return the hash that the EntryPoint knows the operation by."""
        operation = self.operation
        if self.delegate is not None and operation.init_code:
            init_code = self.delegate + operation.init_code[words.ADDRESS_BYTES :]
            operation = dataclasses.replace(operation, init_code=init_code)
        return user_operations.hash_user_operation(operation=operation, chain_id=chain_id, entry_point=entry_point)


def read_operation(value: object, *, is_partial: bool = False) -> Received:
    """Return the operation that a client sent; of a partial one gas, prices and signatures may be absent or wrong.

    :raises codes.RefusedCall: a field is absent, unknown or malformed.
    """
    if not isinstance(value, Mapping):
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "The operation is no object.")
    if "initCode" in value or "paymasterAndData" in value:
        raise codes.RefusedCall(
            codes.Code.BAD_PARAMETERS, "Write factory and factoryData, paymaster and paymasterData, one by one."
        )
    sender = address_of(value, "sender")
    authorization = _authorization(value, sender=sender, is_partial=is_partial)
    return Received(
        operation=user_operations.UserOperation(
            sender=sender,
            nonce=number_of(value, "nonce", bits=256),
            init_code=_init_code(value, is_delegated=authorization is not None),
            call_data=bytes_of(value, "callData"),
            call_gas_limit=number_of(value, "callGasLimit", bits=_GAS_BITS, default=0 if is_partial else None),
            verification_gas_limit=number_of(
                value, "verificationGasLimit", bits=_GAS_BITS, default=0 if is_partial else None
            ),
            pre_verification_gas=number_of(
                value, "preVerificationGas", bits=_GAS_BITS, default=0 if is_partial else None
            ),
            max_fee_per_gas=number_of(value, "maxFeePerGas", bits=_PRICE_BITS, default=0 if is_partial else None),
            max_priority_fee_per_gas=number_of(
                value, "maxPriorityFeePerGas", bits=_PRICE_BITS, default=0 if is_partial else None
            ),
            paymaster_and_data=_paymaster_and_data(value, is_partial=is_partial),
            signature=bytes_of(value, "signature", default=b"" if is_partial else None),
        ),
        authorization=authorization,
    )


def write_operation(
    operation: user_operations.UserOperation, authorization: delegations.Authorization | None = None
) -> dict[str, Any]:
    """Return an operation as clients read it."""
    fields: dict[str, Any] = {
        "sender": words.checksummed(operation.sender),
        "nonce": hex(operation.nonce),
        "callData": "0x" + operation.call_data.hex(),
        "callGasLimit": hex(operation.call_gas_limit),
        "verificationGasLimit": hex(operation.verification_gas_limit),
        "preVerificationGas": hex(operation.pre_verification_gas),
        "maxFeePerGas": hex(operation.max_fee_per_gas),
        "maxPriorityFeePerGas": hex(operation.max_priority_fee_per_gas),
        "signature": "0x" + operation.signature.hex(),
    }
    if made_by := operation.init_code:
        is_delegated = made_by[: words.ADDRESS_BYTES] == _MARKER
        fields["factory"] = _DELEGATED if is_delegated else words.checksummed(made_by[:20])
        fields["factoryData"] = "0x" + made_by[20:].hex()
    if paid_by := operation.paymaster_and_data:
        fields |= {
            "paymaster": words.checksummed(paid_by[:20]),
            "paymasterVerificationGasLimit": hex(int.from_bytes(paid_by[20:36])),
            "paymasterPostOpGasLimit": hex(int.from_bytes(paid_by[36:52])),
            "paymasterData": "0x" + paid_by[52:].hex(),
        }
    if authorization is not None:
        signature = authorization.signature
        fields["eip7702Auth"] = {
            "chainId": hex(authorization.chain_id),
            "address": words.checksummed(authorization.delegate),
            "nonce": hex(authorization.nonce),
            "yParity": hex(signature[64]),
            "r": "0x" + signature[:32].hex(),
            "s": "0x" + signature[32:64].hex(),
        }
    return fields


def bytes_of(value: Mapping[str, Any], name: str, *, default: bytes | None = None) -> bytes:
    """Return a field of hexadecimal bytes.

    :raises codes.RefusedCall: it is absent without a default, too long or malformed.
    """
    text = value.get(name)
    if text is None and default is not None:
        return default
    if not isinstance(text, str) or not _is_plain(text) or len(text) > 2 * MAX_CALL_DATA:
        raise _bad(name, "is no hexadecimal text that starts with 0x, or too long")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise _bad(name, "is no hexadecimal text of whole bytes") from None


def number_of(value: Mapping[str, Any], name: str, *, bits: int, default: int | None = None) -> int:
    """Return a field that is a hexadecimal quantity.

    :raises codes.RefusedCall: it is absent without a default, too large or malformed.
    """
    text = value.get(name)
    if text is None and default is not None:
        return default
    if not isinstance(text, str) or not _QUANTITY.fullmatch(text):
        raise _bad(name, "is no hexadecimal quantity")
    number = int(text[2:] or "0", 16)
    if number >> bits:
        raise _bad(name, f"does not fit in {bits} bits")
    return number


def address_of(value: Mapping[str, Any], name: str) -> bytes:
    """Return a field that is an address.

    :raises codes.RefusedCall: it is absent, malformed, or its checksum is wrong.
    """
    text = value.get(name)
    return parse_address(text, name)


def parse_address(text: object, name: str) -> bytes:
    """Return an address from its text.

    :raises codes.RefusedCall: it is none, or its checksum is wrong.
    """
    if not isinstance(text, str) or not _is_plain(text):
        raise _bad(name, "is no address")
    try:
        return words.parse_address(text)
    except ValueError as error:
        raise _bad(name, f"is no address: {error}") from None


def _is_plain(text: str) -> bool:
    """Say whether no blank hides between the digits, by which the same bytes could be written in two ways."""
    return text.startswith("0x") and text.isalnum()


def _init_code(value: Mapping[str, Any], *, is_delegated: bool) -> bytes:
    factory = value.get("factory")
    if factory is None:
        if bytes_of(value, "factoryData", default=b""):
            raise _bad("factoryData", "stands without a factory")
        return b""
    data = bytes_of(value, "factoryData", default=b"")
    if isinstance(factory, str) and factory.lower().ljust(42, "0") == _DELEGATED.ljust(42, "0"):
        if not is_delegated:
            raise _bad("eip7702Auth", "is absent, though the factory says 0x7702")
        return _MARKER + data
    if is_delegated:
        raise _bad("factory", "makes the sender, which eip7702Auth says is there already")
    return parse_address(factory, "factory") + data


def _authorization(value: Mapping[str, Any], *, sender: bytes, is_partial: bool) -> delegations.Authorization | None:
    given = value.get("eip7702Auth")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise _bad("eip7702Auth", "is no object")
    default = 0 if is_partial else None
    parity, r, s = (
        number_of(given, name, bits=bits, default=default)
        for name, bits in (("yParity", 1), ("r", _WORD_BITS), ("s", _WORD_BITS))
    )
    found = delegations.Authorization(
        chain_id=number_of(given, "chainId", bits=_CHAIN_BITS),
        delegate=address_of(given, "address"),
        nonce=number_of(given, "nonce", bits=_CHAIN_BITS),
        signature=r.to_bytes(32) + s.to_bytes(32) + bytes([parity]),
    )
    if not is_partial and _authority(found) != sender:
        raise _bad("eip7702Auth", "is not signed by the sender")
    return found


def _authority(authorization: delegations.Authorization) -> bytes | None:
    try:
        return authorization.authority()
    except ValueError:
        return None


def _paymaster_and_data(value: Mapping[str, Any], *, is_partial: bool) -> bytes:
    if value.get("paymaster") is None:
        return b""
    default = 0 if is_partial else None
    limits = [number_of(value, name, bits=_GAS_BITS, default=default) for name in _PAYMASTER_GAS]
    return b"".join(
        (
            address_of(value, "paymaster"),
            *(limit.to_bytes(16) for limit in limits),
            bytes_of(value, "paymasterData", default=b""),
        )
    )


def _bad(name: str, what: str) -> codes.RefusedCall:
    return codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"{name} {what}.")
