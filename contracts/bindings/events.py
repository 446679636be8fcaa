"""What the contracts tell: logs decoded into frozen values.

An event is a hint. A payment is proven by the accepted token's own `Transfer`, which `Transfer` values are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from contracts.bindings import sessions, words


class UnableToReadLog(ValueError):
    """A log has one of our topics but not its shape."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Any of our events: the contract that emitted it and its place in the block."""

    emitter: bytes
    log_index: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Event):
    """Tokens of `emitter` moved."""

    sender: bytes
    recipient: bytes
    amount_units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BillPaid(Event):
    """An account says that it paid a bill: amount and fee left in one transfer of `token`."""

    reference: bytes
    payer: bytes
    token: bytes
    amount_units: int
    fee_units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FeePaid(Event):
    """An account says that it paid a network fee in another token than the bill's."""

    reference: bytes
    payer: bytes
    fee_token: bytes
    fee_units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PayoutMade(Event):
    """One recipient of a batch was paid."""

    reference: bytes
    payer: bytes
    recipient: bytes
    token: bytes
    amount_units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BatchPaid(Event):
    """A packed batch was paid: how many recipients, and the sum."""

    reference: bytes
    payer: bytes
    token: bytes
    count: int
    total_units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UserOperationEvent(Event):
    """The EntryPoint ended an operation; `success` tells whether its call went through."""

    user_operation_hash: bytes
    sender: bytes
    paymaster: bytes
    nonce: int
    success: bool
    actual_gas_cost_wei: int
    actual_gas_used: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UserOperationRevertReason(Event):
    """An operation's call reverted; `revert_data` is for `reverts.describe`."""

    user_operation_hash: bytes
    sender: bytes
    nonce: int
    revert_data: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostOpRevertReason(UserOperationRevertReason):
    """The paymaster's work after an operation reverted, and the operation's call with it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AccountDeployed(Event):
    """An operation deployed its account."""

    user_operation_hash: bytes
    sender: bytes
    factory: bytes
    paymaster: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BeforeExecution(Event):
    """The EntryPoint ended a bundle's validation; what follows is execution."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionInstalled(Event):
    """The account `emitter` installed a session."""

    session_id: bytes
    key: bytes
    consent: bytes
    policy: sessions.SessionPolicy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionRevoked(Event):
    """The account `emitter` ended a session for ever."""

    session_id: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionFrozen(Event):
    """The account `emitter` stopped a session, or let it go on."""

    session_id: bytes
    is_frozen: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCharged(Event):
    """The paymaster charged an operation's cost to a utility's budget, and to its program's unless that is zero."""

    user_operation_hash: bytes
    utility_id: int
    program_id: int
    cost_wei: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RoundOpened(Event):
    """A funder opened a round of payouts to claim."""

    round_id: bytes
    funder: bytes
    token: bytes
    reference: bytes
    root: bytes
    amount_units: int
    expires_at: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claimed(Event):
    """A payout of a round was claimed."""

    round_id: bytes
    index: int
    account: bytes
    amount_units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Returned(Event):
    """What was left of a round went back to its funder."""

    round_id: bytes
    funder: bytes
    amount_units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IntentRefused(Event):
    """An account refused a payment of the bill lane; `reason` is the error's selector, or zeros."""

    index: int
    account: bytes
    reason: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class _Log:
    emitter: bytes
    topics: Sequence[bytes]
    data: bytes
    log_index: int | None


type _Read = Callable[[_Log], object]


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """An event: what it becomes, how many topics it has, and where each field is read."""

    made: Callable[..., Event]
    topic_count: int
    fields: Mapping[str, _Read]

    def read(self, log: _Log) -> Event:
        return self.made(
            emitter=log.emitter, log_index=log.log_index, **{name: read(log) for name, read in self.fields.items()}
        )


def decode_log(*, address: bytes, topics: Sequence[bytes], data: bytes, log_index: int | None = None) -> Event | None:
    """Return the event that a log tells, or None if it is none of ours.

    :raises UnableToReadLog: if it has one of our topics but not its shape.
    """
    if not topics or (known := _DECODERS.get(bytes(topics[0]))) is None:
        return None
    if len(topics) != known.topic_count:
        # A stranger's event of the same name with other fields indexed, such as ERC-721's Transfer.
        return None
    try:
        return known.read(_Log(address, topics, data, log_index))
    except ValueError as error:
        message = f"a log of {words.checksummed(address)} is malformed: {error}"
        raise UnableToReadLog(message) from error


def decode_rpc_log(*, log: Mapping[str, object]) -> Event | None:
    """Return the event that a log told as a node's JSON object does, or None if it is none of ours.

    :raises UnableToReadLog: if the object is no log, or the log has one of our topics but not its shape.
    """
    address, topics, data, index = (log.get(name) for name in ("address", "topics", "data", "logIndex"))
    if not isinstance(address, str) or not isinstance(topics, list) or not isinstance(data, str):
        message = "no log"
        raise UnableToReadLog(message)
    return decode_log(
        address=_from_hex(address),
        topics=[_from_hex(str(topic)) for topic in topics],
        data=_from_hex(data),
        log_index=int(index, 16) if isinstance(index, str) else None,
    )


def of_operation(*, events: Sequence[Event | None], user_operation_hash: bytes) -> tuple[Event, ...]:
    """Return the events of one operation's execution out of all events of its bundle's receipt, in their order.

    The last of them is its `UserOperationEvent`. Nothing is returned if the bundle does not hold the operation.
    """
    collected: list[Event] = []
    for event in events:
        if isinstance(event, BeforeExecution):
            collected = []
        elif event is not None:
            collected.append(event)
        if isinstance(event, UserOperationEvent):
            if event.user_operation_hash == user_operation_hash:
                return tuple(collected)
            collected = []
    return ()


def topic_of(signature: str, /) -> bytes:
    """Return the first topic of an event, such as `Transfer(address,address,uint256)`."""
    return words.keccak(signature.encode())


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _topic(index: int, length: int = 32) -> _Read:
    return lambda log: bytes(log.topics[index][:length])


def _party(index: int) -> _Read:
    return lambda log: words.read_address(log.topics[index], 0)


def _number(index: int) -> _Read:
    return lambda log: words.read_uint(log.topics[index], 0)


def _uint(index: int) -> _Read:
    return lambda log: words.read_uint(log.data, 32 * index)


def _address(index: int) -> _Read:
    return lambda log: words.read_address(log.data, 32 * index)


def _head(index: int, length: int) -> _Read:
    return lambda log: words.read_word(log.data, 32 * index)[:length]


_PAYER = {"reference": _topic(1, words.REFERENCE_BYTES), "payer": _party(2)}
_PAYMENT = _PAYER | {"token": _party(3)}
_ROUND = {"round_id": _topic(1), "funder": _party(2)}
_OPERATION = {"user_operation_hash": _topic(1), "sender": _party(2)}
_REVERT_REASON = _OPERATION | {
    "nonce": _uint(0),
    "revert_data": lambda log: words.read_bytes(log.data, words.read_uint(log.data, 32)),
}

_KINDS = {
    "Transfer(address,address,uint256)": _Kind(
        Transfer, 3, {"sender": _party(1), "recipient": _party(2), "amount_units": _uint(0)}
    ),
    "BillPaid(bytes16,address,address,uint256,uint256)": _Kind(
        BillPaid, 4, _PAYMENT | {"amount_units": _uint(0), "fee_units": _uint(1)}
    ),
    "FeePaid(bytes16,address,address,uint256)": _Kind(
        FeePaid,
        4,
        {
            "reference": _topic(1, words.REFERENCE_BYTES),
            "payer": _party(2),
            "fee_token": _party(3),
            "fee_units": _uint(0),
        },
    ),
    "PayoutMade(bytes16,address,address,address,uint256)": _Kind(
        PayoutMade, 4, _PAYER | {"recipient": _party(3), "token": _address(0), "amount_units": _uint(1)}
    ),
    "BatchPaid(bytes16,address,address,uint256,uint256)": _Kind(
        BatchPaid, 4, _PAYMENT | {"count": _uint(0), "total_units": _uint(1)}
    ),
    "UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)": _Kind(
        UserOperationEvent,
        4,
        _OPERATION
        | {
            "paymaster": _party(3),
            "nonce": _uint(0),
            "success": lambda log: words.read_uint(log.data, 32) == 1,
            "actual_gas_cost_wei": _uint(2),
            "actual_gas_used": _uint(3),
        },
    ),
    "UserOperationRevertReason(bytes32,address,uint256,bytes)": _Kind(UserOperationRevertReason, 3, _REVERT_REASON),
    "PostOpRevertReason(bytes32,address,uint256,bytes)": _Kind(PostOpRevertReason, 3, _REVERT_REASON),
    "AccountDeployed(bytes32,address,address,address)": _Kind(
        AccountDeployed, 3, _OPERATION | {"factory": _address(0), "paymaster": _address(1)}
    ),
    "BeforeExecution()": _Kind(BeforeExecution, 1, {}),
    "SessionInstalled(bytes32,address,bytes32,bytes32[5])": _Kind(
        SessionInstalled,
        4,
        {
            "session_id": _topic(1),
            "key": _party(2),
            "consent": _topic(3),
            "policy": lambda log: sessions.unpack(packed=log.data),
        },
    ),
    "SessionRevoked(bytes32)": _Kind(SessionRevoked, 2, {"session_id": _topic(1)}),
    "SessionFrozen(bytes32,bool)": _Kind(
        SessionFrozen, 2, {"session_id": _topic(1), "is_frozen": lambda log: words.read_uint(log.data, 0) == 1}
    ),
    "BudgetCharged(bytes32,uint64,uint64,uint256)": _Kind(
        BudgetCharged,
        4,
        {"user_operation_hash": _topic(1), "utility_id": _number(2), "program_id": _number(3), "cost_wei": _uint(0)},
    ),
    "RoundOpened(bytes32,address,address,bytes16,bytes32,uint256,uint256)": _Kind(
        RoundOpened,
        4,
        _ROUND
        | {
            "token": _party(3),
            "reference": _head(0, words.REFERENCE_BYTES),
            "root": _head(1, 32),
            "amount_units": _uint(2),
            "expires_at": _uint(3),
        },
    ),
    "Claimed(bytes32,uint256,address,uint256)": _Kind(
        Claimed, 4, {"round_id": _topic(1), "index": _number(2), "account": _party(3), "amount_units": _uint(0)}
    ),
    "Returned(bytes32,address,uint256)": _Kind(Returned, 3, _ROUND | {"amount_units": _uint(0)}),
    "IntentRefused(uint256,address,bytes4)": _Kind(
        IntentRefused, 3, {"index": _number(1), "account": _party(2), "reason": _head(0, 4)}
    ),
}

_DECODERS = {topic_of(signature): kind for signature, kind in _KINDS.items()}
