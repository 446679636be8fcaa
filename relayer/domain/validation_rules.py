"""What ERC-7562 forbids during validation, looked for in what a tracer saw of it.

Covers what a contract can break: opcodes (OP-011, OP-012, OP-013, OP-020), CREATE and CREATE2 (OP-031, OP-032), code
that is not there (OP-041), the EntryPoint called back (OP-052 to OP-054), native coin sent (OP-061), and storage
(STO-010, STO-021, STO-022, STO-031, STO-033).
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from contracts.bindings import words

_LAST_PRECOMPILE = 0x100
# An associated slot is keccak256(address || x) + n with n up to this.
_LONGEST_ASSOCIATED = 128
_OF_STAKED = frozenset({"BALANCE", "SELFBALANCE"})  # OP-080
_DEPOSIT_TO = words.selector("depositTo(address)")
_INCREMENT_NONCE = words.selector("incrementNonce(uint192)")
_READS = frozenset({"SLOAD", "TLOAD"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entities:
    """Who takes part in a validation; factory and paymaster None where there is none. `staked` have enough at stake."""

    entry_point: bytes
    sender_creator: bytes
    sender: bytes
    factory: bytes | None
    paymaster: bytes | None
    staked: frozenset[bytes]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a tracer saw: whether the validation came to its end, and each kind of step once."""

    is_complete: bool
    steps: Sequence[Sequence[str]]

    def addresses(self) -> frozenset[bytes]:
        """Return every contract that was called or whose code was looked at."""
        return frozenset(_address(step[3]) for step in self.steps if step[0] in {"call", "code"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Who broke which rule, in words; `needs_stake` says that the same entity may do it once it has a stake."""

    entity: bytes
    what: str
    needs_stake: bool = False

    def __str__(self) -> str:
        return f"{words.checksummed(self.entity)}: {self.what}"


def violations(*, seen: Seen, entities: Entities, with_code: Collection[bytes]) -> list[Violation]:
    """Return what a validation does that it must not, in the order in which it was seen.

    `with_code` are those of `Seen.addresses` that have code; the sender may get its code during the validation.
    """
    hashed = _hashed(seen.steps)
    found: list[Violation] = []
    for step in seen.steps:
        if step[0] != "keccak":
            entity = _entity(_address(step[1]), entities)
            found.extend(_of_step(step, entity=entity, entities=entities, with_code=with_code, hashed=hashed))
    return found


def _of_step(
    step: Sequence[str],
    *,
    entity: bytes,
    entities: Entities,
    with_code: Collection[bytes],
    hashed: Mapping[bytes, Sequence[int]],
) -> Iterable[Violation]:
    kind, what = step[0], step[2]
    if kind == "op":
        if what == "CREATE2" and entity == entities.factory:
            return
        if what in _OF_STAKED and entity in entities.staked:
            return
        yield Violation(entity=entity, what=what, needs_stake=what in _OF_STAKED)
    elif kind == "fault":
        yield Violation(entity=entity, what="runs out of gas")
    elif kind == "twice":
        yield Violation(entity=entity, what="a second CREATE2")
    elif kind == "slot":
        yield from _of_slot(step, entity=entity, entities=entities, hashed=hashed)
    else:
        yield from _of_call(step, entity=entity, entities=entities, with_code=with_code)


def _of_call(
    step: Sequence[str], *, entity: bytes, entities: Entities, with_code: Collection[bytes]
) -> Iterable[Violation]:
    kind, op, callee = step[0], step[2], _address(step[3])
    is_precompile = 0 < int.from_bytes(callee) <= _LAST_PRECOMPILE
    if not is_precompile and callee not in with_code and callee != entities.sender:
        yield Violation(entity=entity, what=f"{op} of {words.checksummed(callee)}, which has no code")
    if kind != "call":
        return
    if callee == entities.entry_point:
        selector = bytes.fromhex(step[5].removeprefix("0x"))[:4]
        is_deposit = selector in (_DEPOSIT_TO, b"") and entity in (entities.sender, entities.factory)
        is_nonce = selector == _INCREMENT_NONCE and entity == entities.sender
        if not is_deposit and not is_nonce:
            yield Violation(entity=entity, what=f"calls the EntryPoint (0x{selector.hex()})")
    elif op == "CALL" and int(step[4], 16):
        yield Violation(entity=entity, what=f"sends native coin to {words.checksummed(callee)}")


def _of_slot(
    step: Sequence[str], *, entity: bytes, entities: Entities, hashed: Mapping[bytes, Sequence[int]]
) -> Iterable[Violation]:
    op, slot, owner = step[2], int(step[4], 16), _address(step[3])
    if owner == entities.sender:
        return
    is_staked = entity in entities.staked
    if any(0 <= slot - base <= _LONGEST_ASSOCIATED for base in hashed.get(entities.sender, ())):
        # STO-021, STO-022: while the sender is being deployed only a staked factory makes that safe.
        if entities.factory is None or is_staked or entities.factory in entities.staked:
            return
    elif is_staked and (
        owner == entity
        or op in _READS
        or any(0 <= slot - base <= _LONGEST_ASSOCIATED for base in hashed.get(entity, ()))
    ):
        return
    yield Violation(entity=entity, what=f"{op} of {words.checksummed(owner)} at {slot:#x}", needs_stake=not is_staked)


def _hashed(steps: Sequence[Sequence[str]]) -> dict[bytes, list[int]]:
    """Return, by address, the slots keccak256(address || x) that were hashed."""
    found: dict[bytes, list[int]] = {}
    for step in steps:
        if step[0] == "keccak":
            data = bytes.fromhex(step[1].removeprefix("0x"))
            if not any(data[:12]):
                found.setdefault(data[12:32], []).append(int.from_bytes(words.keccak(data)))
    return found


def _entity(called: bytes, entities: Entities) -> bytes:
    return entities.factory if called == entities.sender_creator and entities.factory is not None else called


def _address(text: str) -> bytes:
    return (int(text, 16) % 2**160).to_bytes(20)


def read(answer: Any) -> Seen:
    """Return what the tracer in `relayer/adapters/tracer.js` answered.

    :raises ValueError: it answered something else.
    """
    if not isinstance(answer, Mapping) or not isinstance(answer.get("steps"), list):
        message = "the node's tracer answered something else"
        raise ValueError(message)  # noqa: TRY004 - what a node answers is a value
    return Seen(is_complete=bool(answer.get("done")), steps=answer["steps"])
