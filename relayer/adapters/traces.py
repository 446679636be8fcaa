"""The node's call tracer, for people who want to see what an operation did."""

from typing import Any

from contracts.bindings import user_operations, words
from openvpp.core import errors
from relayer.adapters import rpc, simulation

# Nobody's: the gas refund of a bundle that is only traced goes there.
_NOBODY = words.keccak(b"beneficiary of a trace")[12:]
_TRACER = {"tracer": "callTracer", "tracerConfig": {"withLog": False}, "timeout": "4s"}
_MOST_GAS = 30_000_000


class UnableToTrace(errors.UnableTo):
    """The node has no tracer, or knows nothing of the transaction any more."""

    status = 503


def of_transaction(*, hash_: str) -> Any:
    """Return what a transaction that stands in a block did.

    :raises UnableToTrace: `no_tracer`.
    :raises errors.Unreachable: the node does not answer, or its trace is too large.
    """
    return _ask("debug_traceTransaction", hash_, _TRACER)


def of_call(
    *, entry_point: bytes, operation: user_operations.UserOperation, delegated: simulation.Delegations = simulation.NONE
) -> Any:
    """Return what an operation would do if it came alone into the next block, with the delegations that go with it.

    :raises UnableToTrace: `no_tracer`.
    :raises errors.Unreachable: the node does not answer, or its trace is too large.
    """
    data = user_operations.encode_handle_ops(operations=[operation], beneficiary=_NOBODY)
    call = {
        "from": "0x" + _NOBODY.hex(),
        "to": "0x" + entry_point.hex(),
        "data": "0x" + data.hex(),
        "gas": rpc.quantity(_MOST_GAS),
    }
    tracer: dict[str, object] = dict(_TRACER)
    for each in simulation.overrides(delegated):
        tracer["stateOverrides"] = each
    return _ask("debug_traceCall", call, "latest", tracer)


def _ask(method: str, *parameters: object) -> Any:
    try:
        return rpc.node().call(method, *parameters)
    except rpc.NodeRefused as refusal:
        raise UnableToTrace(f"The node cannot trace this: {refusal.reason}", code="no_tracer") from None
