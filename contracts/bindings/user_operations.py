"""User operations of EntryPoint v0.8: packing, hashing and calldata (ERC-4337, EIP-712)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from contracts.bindings import words

_TYPEHASH = words.keccak(
    b"PackedUserOperation(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,"
    b"uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData)"
)
_DEPOSIT_TO = words.selector("depositTo(address)")
_HANDLE_OPS = words.selector("handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)")
_GET_NONCE = words.selector("getNonce(address,uint192)")
_GET_USER_OP_HASH = words.selector("getUserOpHash((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes))")
_BALANCE_OF = words.selector("balanceOf(address)")
EIP7702_MARKER = b"\x77\x02".ljust(words.ADDRESS_BYTES, b"\x00")


class UnableToHashUserOperation(ValueError):
    """The operation's hash depends on more than the operation."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UserOperation:
    """A user operation as EntryPoint v0.8 takes it, its packed words unpacked. Gas in units, prices in wei per gas."""

    sender: bytes
    nonce: int
    init_code: bytes = b""
    call_data: bytes
    verification_gas_limit: int
    call_gas_limit: int
    pre_verification_gas: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    paymaster_and_data: bytes = b""
    signature: bytes = b""

    @property
    def factory(self) -> bytes | None:
        """Return the contract that makes the sender, if one is to; an EIP-7702 sender is there already."""
        made_by = self.init_code[: words.ADDRESS_BYTES]
        return None if made_by in (b"", EIP7702_MARKER) else made_by

    @property
    def account_gas_limits(self) -> bytes:
        """Return the packed word of both gas limits."""
        return pack_halves(high=self.verification_gas_limit, low=self.call_gas_limit)

    @property
    def gas_fees(self) -> bytes:
        """Return the packed word of both prices."""
        return pack_halves(high=self.max_priority_fee_per_gas, low=self.max_fee_per_gas)


def pack_halves(*, high: int, low: int) -> bytes:
    """Return two integers of 128 bits as one word.

    :raises OverflowError: if one does not fit.
    """
    return high.to_bytes(16, "big") + low.to_bytes(16, "big")


def hash_user_operation(*, operation: UserOperation, chain_id: int, entry_point: bytes) -> bytes:
    """Return the hash that identifies the operation and that its signers sign; the signature is not part of it.

    :raises UnableToHashUserOperation: for EIP-7702 init code, whose hash depends on the sender's delegation on chain.
    """
    if operation.init_code.ljust(words.ADDRESS_BYTES, b"\x00")[: words.ADDRESS_BYTES] == EIP7702_MARKER:
        message = "the hash of an operation with EIP-7702 init code depends on the sender's delegation on chain"
        raise UnableToHashUserOperation(message)
    struct_hash = words.keccak(
        b"".join(
            (
                _TYPEHASH,
                words.address(operation.sender),
                words.uint(operation.nonce),
                words.keccak(operation.init_code),
                words.keccak(operation.call_data),
                operation.account_gas_limits,
                words.uint(operation.pre_verification_gas),
                operation.gas_fees,
                words.keccak(operation.paymaster_and_data),
            )
        )
    )
    return words.typed_data_hash(domain=_domain(chain_id, entry_point), struct_hash=struct_hash)


def encode_deposit_to(*, account: bytes) -> bytes:
    """Return the calldata that adds the sent native coin to a paymaster's deposit, whoever sends it."""
    return _DEPOSIT_TO + words.address(account)


def encode_handle_ops(*, operations: Sequence[UserOperation], beneficiary: bytes) -> bytes:
    """Return the calldata of `handleOps`; `beneficiary` gets the gas refund."""
    offset = 32 * len(operations)
    heads, tails = [], []
    for operation in operations:
        packed = _pack(operation)
        heads.append(offset.to_bytes(32, "big"))
        tails.append(packed)
        offset += len(packed)
    return b"".join(
        (_HANDLE_OPS, words.uint(64), words.address(beneficiary), words.uint(len(operations)), *heads, *tails)
    )


def encode_get_user_op_hash(*, operation: UserOperation) -> bytes:
    """Return the calldata that asks the EntryPoint for the operation's hash."""
    return _GET_USER_OP_HASH + words.uint(32) + _pack(operation)


def encode_get_nonce(*, sender: bytes, key: int = 0) -> bytes:
    """Return the calldata that asks the EntryPoint for a sender's next nonce; `key` names one of 2**192 sequences."""
    return _GET_NONCE + words.address(sender) + words.uint(key, bits=192)


def encode_deposit_of(*, holder: bytes) -> bytes:
    """Return the calldata that asks the EntryPoint for somebody's deposit in wei."""
    return _BALANCE_OF + words.address(holder)


def _pack(operation: UserOperation) -> bytes:
    return words.arguments(
        (
            words.address(operation.sender),
            words.uint(operation.nonce),
            words.dynamic(operation.init_code),
            words.dynamic(operation.call_data),
            operation.account_gas_limits,
            words.uint(operation.pre_verification_gas),
            operation.gas_fees,
            words.dynamic(operation.paymaster_and_data),
            words.dynamic(operation.signature),
        )
    )


@functools.lru_cache(maxsize=64)
def _domain(chain_id: int, entry_point: bytes) -> bytes:
    return words.domain_separator(name="ERC4337", version="1", chain_id=chain_id, verifying_contract=entry_point)
