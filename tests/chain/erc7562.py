"""What ERC-7562 forbids during validation, looked for in the trace of a bundle of one.

Covers the rules that a contract can break: forbidden opcodes and calls (OP-011, OP-012, OP-031, OP-041) and storage
(STO-010, STO-021, STO-031), for one operation whose paymaster is staked.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from contracts.bindings import user_operations, words
from tests import chain_fixture

_FORBIDDEN = frozenset(
    {"GASPRICE", "GASLIMIT", "DIFFICULTY", "PREVRANDAO", "TIMESTAMP", "BASEFEE", "BLOCKHASH", "NUMBER", "ORIGIN"}
    | {"COINBASE", "SELFDESTRUCT", "CREATE", "BLOBHASH", "BLOBBASEFEE", "INVALID", "BALANCE", "SELFBALANCE"}
)
_CALLS = frozenset({"CALL", "STATICCALL", "DELEGATECALL", "CALLCODE"})
_STORAGE = frozenset({"SLOAD", "SSTORE", "TLOAD", "TSTORE"})
_BEFORE_EXECUTION = words.keccak(b"BeforeExecution()")
_LAST_PRECOMPILE = 0x100
# An associated slot is keccak256(address || x) + n with n up to this.
_LONGEST_ASSOCIATED = 128


@dataclasses.dataclass(frozen=True)
class Step:
    """One opcode: who was called by the EntryPoint, whose storage is at hand, and what is on the stack, top first."""

    entity: bytes
    storage_of: bytes
    op: str
    next_op: str
    stack: tuple[int, ...]


def violations(
    chain: chain_fixture.Chain, operation: user_operations.UserOperation, *, staked: frozenset[bytes]
) -> list[str]:
    """Return what the validation of an operation, were it sent now, does that it must not, in words."""
    sender = operation.sender
    relayer = chain_fixture.RELAYER.address
    call = {
        "from": words.checksummed(relayer),
        "to": words.checksummed(chain.deployment.entry_point),
        "data": "0x" + user_operations.encode_handle_ops(operations=[operation], beneficiary=relayer).hex(),
    }
    trace = chain.rpc("debug_traceCall", call, "latest", {"disableStorage": True, "enableMemory": True})
    assert isinstance(trace, dict)
    found, created = [], 0
    hashed: set[tuple[bytes, int]] = set()
    for step, log in _validation(chain, trace["structLogs"]):
        if step.op in _FORBIDDEN or (step.op == "GAS" and step.next_op not in _CALLS):
            found.append(f"{step.entity.hex()}: {step.op}")
        if step.op in {"KECCAK256", "SHA3"}:
            memory = bytes.fromhex("".join(part.removeprefix("0x").rjust(64, "0") for part in log["memory"]))
            data = memory[step.stack[0] : step.stack[0] + step.stack[1]]
            hashed.add((data[:32], int.from_bytes(words.keccak(data), "big")))
        if step.op == "CREATE2":
            created += 1
            if created > 1:
                found.append(f"{step.entity.hex()}: a second CREATE2")
        if step.op in _CALLS:
            callee = (step.stack[1] % 2**160).to_bytes(20, "big")
            is_precompile = 0 < int.from_bytes(callee, "big") <= _LAST_PRECOMPILE
            if not is_precompile and not chain.code(callee):
                found.append(f"{step.entity.hex()}: calls {callee.hex()}, which has no code")
        if step.op in _STORAGE and not _may_touch(step, sender, staked, hashed):
            found.append(f"{step.entity.hex()}: {step.op} of {step.storage_of.hex()} at {step.stack[0]:#x}")
    return found


def _may_touch(step: Step, sender: bytes, staked: frozenset[bytes], hashed: set[tuple[bytes, int]]) -> bool:
    if step.storage_of == sender or (step.storage_of == step.entity and step.entity in staked):
        return True
    owner = words.address(sender)
    return any(key == owner and 0 <= step.stack[0] - slot <= _LONGEST_ASSOCIATED for key, slot in hashed)


def _validation(chain: chain_fixture.Chain, logs: Sequence[dict[str, Any]]) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Yield each step of the entities that the EntryPoint called before it began to execute."""
    frames: list[bytes] = [chain.deployment.entry_point]
    entity: bytes | None = None
    pending: bytes | None = None
    for place, log in enumerate(logs):
        depth = int(log["depth"]) - int(logs[0]["depth"]) + 1
        if depth > len(frames):
            assert pending is not None
            frames.append(pending)
        del frames[depth:]
        stack = tuple(int(value, 16) for value in reversed(log["stack"]))
        op = str(log["op"])
        if depth == 1 and op == "LOG1" and stack[2] == int.from_bytes(_BEFORE_EXECUTION, "big"):
            return
        if op in _CALLS:
            target = (stack[1] % 2**160).to_bytes(20, "big")
            pending = frames[-1] if op in {"DELEGATECALL", "CALLCODE"} else target
            entity = target if depth == 1 else entity
        elif op == "CREATE2":
            pending = _created(logs, place, depth=int(log["depth"]))
        if depth > 1:
            assert entity is not None
            yield Step(entity, frames[-1], op, str(logs[place + 1]["op"]), stack), log
    message = "the transaction never began to execute"
    raise AssertionError(message)


def _created(logs: Sequence[dict[str, Any]], place: int, *, depth: int) -> bytes:
    """Return the address that a CREATE2 leaves on the stack when it is done."""
    after = next(log for log in logs[place + 1 :] if int(log["depth"]) == depth)
    return (int(after["stack"][-1], 16) % 2**160).to_bytes(20, "big")
