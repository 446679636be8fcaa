"""What a node says an operation would do: the EntryPoint's verdict, its validation step by step, gas by part."""

import dataclasses
import itertools
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from contracts.bindings import delegations, user_operations, words
from openvpp.core import errors
from relayer.adapters import rpc
from relayer.domain import own_accounts

# Nobody's: the gas refund of a bundle that is only tried goes there.
NOBODY = words.keccak(b"beneficiary of a simulation")[12:]
_DEPOSIT_INFO = words.selector("getDepositInfo(address)")
VALIDATE = words.selector(
    "validateUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32,uint256)"
)
VALIDATE_PAYMASTER = words.selector(
    "validatePaymasterUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32,uint256)"
)
_EXECUTE_USER_OP = words.selector(
    "executeUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32)"
)
_BASE_GAS = 150_000
_INTRINSIC_GAS = 21_000
_SUCCESS = "0x1"
_CALLS_TO_TRY = 3
_RLP_OF_FIRST = bytes.fromhex("d694")

# Whose code accounts run by the authorisations that go with a bundle (EIP-7702).
type Delegations = Mapping[bytes, bytes]
NONE: Delegations = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What the EntryPoint said to a bundle of one: its revert data, empty if it would land; and what the sender is."""

    standing: own_accounts.Standing
    refusal: rpc.NodeRefused | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an operation, tried by itself: the gas it used, and what it answered or reverted with."""

    gas: int
    has_reverted: bool
    data: bytes


def try_operations(
    *, entry_point: bytes, wishes: Sequence[tuple[user_operations.UserOperation, Delegations]]
) -> list[Tried]:
    """Ask in one go what each sender is and whether a bundle of that operation alone would pass.

    :raises errors.Unreachable: the node does not answer.
    """
    calls: list[rpc.Call] = []
    for operation, delegated in wishes:
        call = bundle_of(entry_point=entry_point, operation=operation)
        calls += [*_standing_calls(operation.sender), ("eth_call", (call, "latest", *overrides(delegated)))]
    answers = rpc.node().batch(calls)
    return [
        Tried(
            standing=_standing(code, word),
            refusal=answer if isinstance(answer, rpc.NodeRefused) else None,
        )
        for code, word, answer in itertools.batched(answers, _CALLS_TO_TRY)
    ]


def standings(*, addresses: Sequence[bytes]) -> list[own_accounts.Standing]:
    """Return each address as the chain has it.

    :raises errors.Unreachable: the node does not answer.
    """
    answers = rpc.node().batch([call for address in addresses for call in _standing_calls(address)])
    return [_standing(answers[2 * i], answers[2 * i + 1]) for i in range(len(addresses))]


def overrides(delegated: Delegations) -> tuple[dict[str, dict[str, str]], ...]:
    """Return what a call says of accounts that will run another's code by then (EIP-7702): an object, or nothing.

    Not every node takes an object that says nothing.
    """
    if not delegated:
        return ()
    return ({_text(each): {"code": _text(delegations.designator(code))} for each, code in delegated.items()},)


def standing_and_nonce(*, addresses: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """Return each account's code and how many transactions and authorisations of its stand in blocks.

    :raises errors.Unreachable: the node does not answer.
    """
    calls: list[rpc.Call] = []
    for each in addresses:
        calls += [("eth_getCode", (_text(each), "latest")), ("eth_getTransactionCount", (_text(each), "latest"))]
    answers = rpc.node().batch(calls)
    for answer in answers:
        if isinstance(answer, rpc.NodeRefused):
            raise errors.Unreachable(f"The node refused: {answer.reason}")
    return [(bytes.fromhex(code[2:]), int(nonce, 16)) for code, nonce in zip(answers[::2], answers[1::2], strict=True)]


def deposit(*, entry_point: bytes, address: bytes) -> int:
    """Return the wei that the EntryPoint holds for an address.

    :raises errors.Unreachable: the node does not answer.
    """
    (answer,) = _deposit_infos(entry_point=entry_point, addresses=[address])
    return words.read_uint(answer, 0)


def stakes(*, entry_point: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return what each address has at stake at the EntryPoint, in wei, and the seconds it takes to get it out.

    :raises errors.Unreachable: the node does not answer.
    """
    infos = _deposit_infos(entry_point=entry_point, addresses=addresses)
    return [(words.read_uint(each, 64), words.read_uint(each, 96)) for each in infos]


def _deposit_infos(*, entry_point: bytes, addresses: Sequence[bytes]) -> list[bytes]:
    answers = rpc.node().batch(
        [
            ("eth_call", ({"to": _text(entry_point), "data": _text(_DEPOSIT_INFO + words.address(each))}, "latest"))
            for each in addresses
        ]
    )
    for answer in answers:
        if isinstance(answer, rpc.NodeRefused):
            raise errors.Unreachable(f"The node refused: {answer.reason}")
    return [bytes.fromhex(answer[2:]) for answer in answers]


def with_code(*, addresses: Collection[bytes]) -> dict[bytes, own_accounts.Standing]:
    """Return those of the addresses that have code, as the chain has them.

    :raises errors.Unreachable: the node does not answer.
    """
    wanted = sorted(addresses)
    found = zip(wanted, standings(addresses=wanted), strict=True)
    return {address: standing for address, standing in found if standing.code}


def measure(
    *,
    entry_point: bytes,
    operation: user_operations.UserOperation,
    hash_: bytes,
    delegated: Delegations = NONE,
) -> dict[str, Part]:
    """Try deployment, account's and paymaster's validation and execution one after another, whatever is signed.

    Each part is a call of its own, so that the first access to every slot is paid in full: a little more than in a
    bundle, never less.

    :raises errors.Unreachable: the node does not answer, or has no `eth_simulateV1`.
    """
    packed = words.Tail(user_operations.encode_get_user_op_hash(operation=operation)[36:])
    calls: dict[str, dict[str, str]] = {}
    made_by, made_with = operation.init_code[:20], operation.init_code[20:]
    if made_by == user_operations.EIP7702_MARKER:
        made_by = operation.sender if made_with else b""  # it is there already, and may be told how to begin
    if made_by:
        calls["deployment"] = call_of(sender_creator(entry_point=entry_point), made_by, made_with)
    calls["validation"] = call_of(
        entry_point, operation.sender, VALIDATE + words.arguments((packed, hash_, words.uint(0)))
    )
    if operation.paymaster_and_data:
        calls["paymaster"] = call_of(
            entry_point,
            operation.paymaster_and_data[:20],
            VALIDATE_PAYMASTER + words.arguments((packed, hash_, words.uint(0))),
        )
    call_data = operation.call_data
    if call_data[:4] == _EXECUTE_USER_OP:
        call_data = _EXECUTE_USER_OP + words.arguments((packed, hash_))
    calls["execution"] = call_of(entry_point, operation.sender, call_data)
    block_calls: dict[str, Any] = {"calls": list(calls.values())}
    for each in overrides(delegated):
        block_calls["stateOverrides"] = each
    asked = {"blockStateCalls": [block_calls], "validation": False}
    try:
        (block,) = rpc.node().call("eth_simulateV1", asked, "latest")
    except rpc.NodeRefused as refusal:
        raise errors.Unreachable(f"The node cannot simulate: {refusal.reason}") from None
    return {name: _part(answer) for name, answer in zip(calls, block["calls"], strict=True)}


def sender_creator(*, entry_point: bytes) -> bytes:
    """Return the contract through which the EntryPoint calls factories: the first that it created."""
    return words.keccak(_RLP_OF_FIRST + entry_point + b"\x01")[12:]


def _part(answer: Mapping[str, Any]) -> Part:
    data = bytes.fromhex(str(answer.get("returnData") or "0x")[2:])
    return Part(
        gas=max(int(answer["gasUsed"], 16) - _INTRINSIC_GAS, 0),
        has_reverted=answer["status"] != _SUCCESS,
        data=data,
    )


def call_of(sender: bytes, to: bytes, data: bytes) -> dict[str, str]:
    return {"from": _text(sender), "to": _text(to), "data": _text(data)}


def bundle_of(*, entry_point: bytes, operation: user_operations.UserOperation) -> dict[str, str]:
    """Return the call of a bundle of the operation alone."""
    paymaster_gas = operation.paymaster_and_data[20:52]
    gas = (
        _BASE_GAS
        + operation.verification_gas_limit
        + operation.call_gas_limit
        + operation.pre_verification_gas
        + int.from_bytes(paymaster_gas[:16])
        + int.from_bytes(paymaster_gas[16:])
    )
    data = user_operations.encode_handle_ops(operations=[operation], beneficiary=NOBODY)
    return call_of(NOBODY, entry_point, data) | {"gas": rpc.quantity(gas + gas // 63)}


def _standing_calls(address: bytes) -> list[rpc.Call]:
    text = _text(address)
    return [
        ("eth_getCode", (text, "latest")),
        ("eth_getStorageAt", (text, hex(own_accounts.IMPLEMENTATION_SLOT), "latest")),
    ]


def _standing(code: Any, word: Any) -> own_accounts.Standing:
    for answer in (code, word):
        if isinstance(answer, rpc.NodeRefused):
            raise errors.Unreachable(f"The node refused: {answer.reason}")
    return own_accounts.Standing(
        code=bytes.fromhex(code[2:]), implementation_word=bytes.fromhex(word[2:]).rjust(32, b"\0")
    )


def _text(value: bytes) -> str:
    return "0x" + value.hex()
