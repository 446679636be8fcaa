"""Gas limits for an operation that is not signed yet, found by trying its parts one after another on the node.

An account that will run another's code by an EIP-7702 authorisation is tried as if it did already.
"""

import dataclasses
from collections.abc import Mapping

from contracts import deployments
from contracts.bindings import reverts, user_operations
from openvpp.core import db
from relayer.adapters import data_fees, simulation
from relayer.domain import codes, gas, wire
from relayer.usecases import check_authorization

# What is added to what was measured, in hundredths; and what the 64th that calls keep back, and checks beside, take.
_MARGIN_PERCENT = 15
_EXTRA = 12_000
# Of a rollup's data fee, which moves with the parent chain's prices until the operation is sent.
_DATA_MARGIN_PERCENT = 20
# Of the EntryPoint within the verification limit: the sequence of nonces begins, the deposit is looked at.
_OF_ENTRY_POINT = 32_000
_LONGEST_SIGNATURE = 65
_POST_OP = 25_000
_PARTS = {"deployment": "AA13 initCode failed", "validation": "AA23 reverted", "paymaster": "AA33 reverted"}


@db.durable
def estimate(*, chain_id: int, received: wire.Received) -> dict[str, str]:
    """Return the gas limits that the operation needs, as ERC-7769 writes them.

    Neither prices nor signatures need be there or right: nothing is charged and no verdict is asked for.

    :raises codes.RefusedCall: deployment, validation or execution reverts; `data` carries what they said.
    :raises errors.Unreachable: the node does not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    operation = _filled(received.operation)
    hash_ = received.hash(chain_id=chain_id, entry_point=deployment.entry_point)
    tried = operation
    if operation.paymaster_and_data[:20] == deployment.paymaster:
        tried = dataclasses.replace(operation, paymaster_and_data=b"")  # its own gas is known
    delegated = check_authorization.find_due(received=received, chain_id=chain_id)
    parts = simulation.measure(entry_point=deployment.entry_point, operation=tried, hash_=hash_, delegated=delegated)
    _check(parts)
    verification = sum(parts[name].gas for name in ("deployment", "validation") if name in parts)
    encoded = user_operations.encode_get_user_op_hash(operation=operation)[36:]
    data_gas = data_fees.gas(size_bytes=len(encoded))
    found = {
        "preVerificationGas": gas.pre_verification(encoded=encoded, authorizations=len(delegated))
        + 2_000
        + data_gas
        + data_gas * _DATA_MARGIN_PERCENT // 100,
        "verificationGasLimit": _with_margin(verification + _OF_ENTRY_POINT),
        "callGasLimit": _with_margin(parts["execution"].gas),
    }
    if operation.paymaster_and_data:
        measured = parts.get("paymaster")
        known = gas.GasLimits(verification_gas_limit=0, call_gas_limit=0, pre_verification_gas=0, expected=0)
        found["paymasterVerificationGasLimit"] = (
            known.paymaster_verification_gas_limit if measured is None else _with_margin(measured.gas)
        )
        given = int.from_bytes(operation.paymaster_and_data[36:52])
        found["paymasterPostOpGasLimit"] = known.paymaster_post_op_gas_limit if measured is None else given or _POST_OP
    return {name: hex(value) for name, value in found.items()}


def _check(parts: Mapping[str, simulation.Part]) -> None:
    for name, part in parts.items():
        if not part.has_reverted:
            continue
        said = reverts.describe(part.data)
        data = {"revertData": "0x" + part.data.hex()}
        if name == "execution":
            raise codes.RefusedCall(codes.Code.REVERTED, f"The execution reverts: {said}", data=data)
        error = _PARTS[name]
        raise codes.RefusedCall(codes.of_entry_point(error), f"{error}: {said}", data=data)


def _filled(operation: user_operations.UserOperation) -> user_operations.UserOperation:
    """Return the operation as large as it will be once it is signed."""
    signature = operation.signature or b"\x01" * _LONGEST_SIGNATURE
    full = (1 << 24) - 1
    return dataclasses.replace(
        operation,
        signature=signature,
        verification_gas_limit=full,
        call_gas_limit=full,
        pre_verification_gas=full,
        max_fee_per_gas=operation.max_fee_per_gas or full,
    )


def _with_margin(gas_used: int) -> int:
    return gas_used + gas_used * _MARGIN_PERCENT // 100 + _EXTRA
