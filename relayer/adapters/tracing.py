"""What the validation of an operation does, step by step, as a node's JavaScript tracer sees it.

The tracer is called for each step of the machine, so the fewer the better: where there is nothing to deploy, account
and paymaster are each called as the EntryPoint would call them, with the same words, and the EntryPoint's own steps,
which are most of a bundle's, are left out. What is traced so must not be able to tell: it gets exactly the gas that the
EntryPoint gives it, and a call that reverts, as in the bundle it did not, counts as not come to its end.

A paymaster of somebody else's may read what the account's validation has written just before; such an operation, and
one that deploys its sender, is traced in a bundle of its own.
"""

import functools
import pathlib
from typing import Any

from contracts.bindings import user_operations, words
from relayer.adapters import rpc, simulation
from relayer.domain import validation_rules

_TRACER = pathlib.Path(__file__).with_name("tracer.js")
# What a node takes of a call's gas before it runs: for each call, for each byte of data that is zero or is not; and
# the least that a call must bring (EIP-7623).
_CALL_GAS, _ZERO_GAS, _BYTE_GAS = 21_000, 4, 16
_LEAST_TIMES_DATA = 10


class UnableToTrace(Exception):
    """The node has no tracer."""


def trace_validation(
    *,
    entry_point: bytes,
    operation: user_operations.UserOperation,
    chain_id: int,
    own_paymaster: bytes,
    delegated: simulation.Delegations = simulation.NONE,
) -> validation_rules.Seen:
    """Return what the validation of an operation does, up to where execution begins.

    `own_paymaster` is known to ask nothing of the accounts that it pays for.

    :raises UnableToTrace: the node has no JavaScript tracer.
    :raises errors.Unreachable: the node does not answer.
    """
    calls = None
    if not operation.init_code and operation.paymaster_and_data[:20] in (b"", own_paymaster):
        calls = _validations(entry_point=entry_point, operation=operation, chain_id=chain_id)
    if calls is None:
        calls = [(simulation.bundle_of(entry_point=entry_point, operation=operation), _tracer())]
    state = dict(zip(["stateOverrides"], simulation.overrides(delegated), strict=False))
    answers = rpc.node().batch(
        [("debug_traceCall", (call, "latest", {"tracer": tracer, **state})) for call, tracer in calls]
    )
    try:
        seen = [validation_rules.read(_expect(answer)) for answer in answers]
    except (rpc.NodeRefused, ValueError) as error:
        raise UnableToTrace(str(error)) from None
    return validation_rules.Seen(
        is_complete=all(each.is_complete for each in seen), steps=[step for each in seen for step in each.steps]
    )


def _validations(
    *, entry_point: bytes, operation: user_operations.UserOperation, chain_id: int
) -> list[tuple[dict[str, str], str]] | None:
    """Return the calls that the EntryPoint makes to validate an operation, each with its tracer.

    None where one of them alone cannot be given as little gas as the EntryPoint gives it.
    """
    hash_ = user_operations.hash_user_operation(operation=operation, chain_id=chain_id, entry_point=entry_point)
    packed = words.Tail(user_operations.encode_get_user_op_hash(operation=operation)[36:])
    gas = operation.verification_gas_limit + operation.call_gas_limit + operation.pre_verification_gas
    paid_by, limits = operation.paymaster_and_data[:20], operation.paymaster_and_data[20:52]
    missing_wei = 0
    if not paid_by:
        deposit_wei = simulation.deposit(entry_point=entry_point, address=operation.sender)
        missing_wei = max(0, gas * operation.max_fee_per_gas - deposit_wei)
    asked = simulation.VALIDATE + words.arguments((packed, hash_, words.uint(missing_wei)))
    call = simulation.call_of(entry_point, operation.sender, asked)
    found = [_direct(call, entity=operation.sender, gas=operation.verification_gas_limit)]
    if paid_by:
        own_gas = int.from_bytes(limits[:16])
        cost_wei = (gas + own_gas + int.from_bytes(limits[16:])) * operation.max_fee_per_gas
        asked = simulation.VALIDATE_PAYMASTER + words.arguments((packed, hash_, words.uint(cost_wei)))
        found.append(_direct(simulation.call_of(entry_point, paid_by, asked), entity=paid_by, gas=own_gas))
    return None if None in found else [each for each in found if each is not None]


def _direct(call: dict[str, str], *, entity: bytes, gas: int) -> tuple[dict[str, str], str] | None:
    data = bytes.fromhex(call["data"][2:])
    zeros = data.count(0)
    taken = zeros * _ZERO_GAS + (len(data) - zeros) * _BYTE_GAS
    if gas + taken < taken // _ZERO_GAS * _LEAST_TIMES_DATA:
        return None
    tracer = _tracer().replace('isDirect: false, entity: "0"', f'isDirect: true, entity: "{int.from_bytes(entity):x}"')
    return call | {"gas": rpc.quantity(gas + _CALL_GAS + taken)}, tracer


@functools.cache
def _tracer() -> str:
    return _TRACER.read_text(encoding="ascii")


def _expect(answer: Any) -> Any:
    if isinstance(answer, rpc.NodeRefused):
        raise answer
    return answer
