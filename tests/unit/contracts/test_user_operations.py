"""Packing and hashing against independent implementations: eth_abi and eth_account's typed data."""

import dataclasses

import eth_abi
import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import user_operations, words

ENTRY_POINT = words.parse_address("0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108")
PACKED = "(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)"

ADDRESSES = st.binary(min_size=20, max_size=20)
HALVES = st.integers(0, 2**128 - 1)
OPERATIONS = st.builds(
    user_operations.UserOperation,
    sender=ADDRESSES,
    nonce=st.integers(0, 2**256 - 1),
    init_code=st.binary(max_size=200).filter(lambda code: not code.startswith(b"\x77\x02")),
    call_data=st.binary(max_size=400),
    verification_gas_limit=HALVES,
    call_gas_limit=HALVES,
    pre_verification_gas=st.integers(0, 2**256 - 1),
    max_priority_fee_per_gas=HALVES,
    max_fee_per_gas=HALVES,
    paymaster_and_data=st.binary(max_size=200),
    signature=st.binary(max_size=200),
)


def _tuple(operation: user_operations.UserOperation) -> tuple[object, ...]:
    return (
        operation.sender,
        operation.nonce,
        operation.init_code,
        operation.call_data,
        operation.verification_gas_limit.to_bytes(16, "big") + operation.call_gas_limit.to_bytes(16, "big"),
        operation.pre_verification_gas,
        operation.max_priority_fee_per_gas.to_bytes(16, "big") + operation.max_fee_per_gas.to_bytes(16, "big"),
        operation.paymaster_and_data,
        operation.signature,
    )


@given(operations=st.lists(OPERATIONS, max_size=4), beneficiary=ADDRESSES)
def test_handle_ops_is_abi_encoded(operations: list[user_operations.UserOperation], beneficiary: bytes) -> None:
    expected = eth_abi.encode(  # type: ignore[attr-defined]
        [f"{PACKED}[]", "address"], [[_tuple(operation) for operation in operations], beneficiary]
    )

    encoded = user_operations.encode_handle_ops(operations=operations, beneficiary=beneficiary)

    assert encoded[:4].hex() == "765e827f"
    assert encoded[4:] == expected


@given(operation=OPERATIONS, chain_id=st.integers(1, 2**63))
def test_hash_is_the_eip_712_hash_of_the_entry_point(operation: user_operations.UserOperation, chain_id: int) -> None:
    _sender, nonce, init_code, call_data, gas_limits, pre_gas, gas_fees, paymaster, _ = _tuple(operation)
    message = encode_typed_data(
        {"name": "ERC4337", "version": "1", "chainId": chain_id, "verifyingContract": words.checksummed(ENTRY_POINT)},
        {
            "PackedUserOperation": [
                {"name": "sender", "type": "address"},
                {"name": "nonce", "type": "uint256"},
                {"name": "initCode", "type": "bytes"},
                {"name": "callData", "type": "bytes"},
                {"name": "accountGasLimits", "type": "bytes32"},
                {"name": "preVerificationGas", "type": "uint256"},
                {"name": "gasFees", "type": "bytes32"},
                {"name": "paymasterAndData", "type": "bytes"},
            ]
        },
        {
            "sender": words.checksummed(operation.sender),
            "nonce": nonce,
            "initCode": init_code,
            "callData": call_data,
            "accountGasLimits": gas_limits,
            "preVerificationGas": pre_gas,
            "gasFees": gas_fees,
            "paymasterAndData": paymaster,
        },
    )

    digest = user_operations.hash_user_operation(operation=operation, chain_id=chain_id, entry_point=ENTRY_POINT)

    assert digest == words.keccak(b"\x19\x01" + message.header + message.body)


@pytest.mark.parametrize("init_code", [b"\x77\x02", b"\x77\x02" + bytes(18), b"\x77\x02" + bytes(18) + b"call"])
def test_hash_refuses_eip_7702_init_code(init_code: bytes) -> None:
    operation = user_operations.UserOperation(
        sender=bytes(20),
        nonce=0,
        init_code=init_code,
        call_data=b"",
        verification_gas_limit=0,
        call_gas_limit=0,
        pre_verification_gas=0,
        max_priority_fee_per_gas=0,
        max_fee_per_gas=0,
    )

    with pytest.raises(user_operations.UnableToHashUserOperation, match="delegation on chain"):
        user_operations.hash_user_operation(operation=operation, chain_id=1, entry_point=ENTRY_POINT)
    plain = dataclasses.replace(operation, init_code=b"\x77\x02" + bytes(17) + b"\x01")
    assert len(user_operations.hash_user_operation(operation=plain, chain_id=1, entry_point=ENTRY_POINT)) == 32
