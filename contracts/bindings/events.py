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

    def topic_address(self, index: int) -> bytes:
        return words.read_address(self.topics[index], 0)

    def uint(self, index: int) -> int:
        return words.read_uint(self.data, 32 * index)


def decode_log(*, address: bytes, topics: Sequence[bytes], data: bytes, log_index: int | None = None) -> Event | None:
    """Return the event that a log tells, or None if it is none of ours.

    :raises UnableToReadLog: if it has one of our topics but not its shape.
    """
    if not topics or (known := _DECODERS.get(bytes(topics[0]))) is None:
        return None
    topic_count, decode = known
    if len(topics) != topic_count:
        # A stranger's event of the same name with other fields indexed, such as ERC-721's Transfer.
        return None
    try:
        return decode(_Log(address, topics, data, log_index))
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


def _transfer(log: _Log) -> Transfer:
    return Transfer(
        emitter=log.emitter,
        log_index=log.log_index,
        sender=log.topic_address(1),
        recipient=log.topic_address(2),
        amount_units=log.uint(0),
    )


def _bill_paid(log: _Log) -> BillPaid:
    return BillPaid(
        emitter=log.emitter,
        log_index=log.log_index,
        reference=bytes(log.topics[1][:16]),
        payer=log.topic_address(2),
        token=log.topic_address(3),
        amount_units=log.uint(0),
        fee_units=log.uint(1),
    )


def _fee_paid(log: _Log) -> FeePaid:
    return FeePaid(
        emitter=log.emitter,
        log_index=log.log_index,
        reference=bytes(log.topics[1][:16]),
        payer=log.topic_address(2),
        fee_token=log.topic_address(3),
        fee_units=log.uint(0),
    )


def _payout_made(log: _Log) -> PayoutMade:
    return PayoutMade(
        emitter=log.emitter,
        log_index=log.log_index,
        reference=bytes(log.topics[1][:16]),
        payer=log.topic_address(2),
        recipient=log.topic_address(3),
        token=words.read_address(log.data, 0),
        amount_units=log.uint(1),
    )


def _batch_paid(log: _Log) -> BatchPaid:
    return BatchPaid(
        emitter=log.emitter,
        log_index=log.log_index,
        reference=bytes(log.topics[1][:16]),
        payer=log.topic_address(2),
        token=log.topic_address(3),
        count=log.uint(0),
        total_units=log.uint(1),
    )


def _user_operation_event(log: _Log) -> UserOperationEvent:
    return UserOperationEvent(
        emitter=log.emitter,
        log_index=log.log_index,
        user_operation_hash=bytes(log.topics[1]),
        sender=log.topic_address(2),
        paymaster=log.topic_address(3),
        nonce=log.uint(0),
        success=bool(log.uint(1)),
        actual_gas_cost_wei=log.uint(2),
        actual_gas_used=log.uint(3),
    )


def _revert_reason[T: UserOperationRevertReason](kind: type[T]) -> Callable[[_Log], T]:
    def decode(log: _Log) -> T:
        return kind(
            emitter=log.emitter,
            log_index=log.log_index,
            user_operation_hash=bytes(log.topics[1]),
            sender=log.topic_address(2),
            nonce=log.uint(0),
            revert_data=words.read_bytes(log.data, log.uint(1)),
        )

    return decode


def _account_deployed(log: _Log) -> AccountDeployed:
    return AccountDeployed(
        emitter=log.emitter,
        log_index=log.log_index,
        user_operation_hash=bytes(log.topics[1]),
        sender=log.topic_address(2),
        factory=words.read_address(log.data, 0),
        paymaster=words.read_address(log.data, 32),
    )


def _before_execution(log: _Log) -> BeforeExecution:
    return BeforeExecution(emitter=log.emitter, log_index=log.log_index)


def _session_installed(log: _Log) -> SessionInstalled:
    return SessionInstalled(
        emitter=log.emitter,
        log_index=log.log_index,
        session_id=bytes(log.topics[1]),
        key=log.topic_address(2),
        consent=bytes(log.topics[3]),
        policy=sessions.unpack(packed=log.data),
    )


def _session_revoked(log: _Log) -> SessionRevoked:
    return SessionRevoked(emitter=log.emitter, log_index=log.log_index, session_id=bytes(log.topics[1]))


def _session_frozen(log: _Log) -> SessionFrozen:
    return SessionFrozen(
        emitter=log.emitter, log_index=log.log_index, session_id=bytes(log.topics[1]), is_frozen=bool(log.uint(0))
    )


def _budget_charged(log: _Log) -> BudgetCharged:
    return BudgetCharged(
        emitter=log.emitter,
        log_index=log.log_index,
        user_operation_hash=bytes(log.topics[1]),
        utility_id=words.read_uint(log.topics[2], 0),
        program_id=words.read_uint(log.topics[3], 0),
        cost_wei=log.uint(0),
    )


def _round_opened(log: _Log) -> RoundOpened:
    return RoundOpened(
        emitter=log.emitter,
        log_index=log.log_index,
        round_id=bytes(log.topics[1]),
        funder=log.topic_address(2),
        token=log.topic_address(3),
        reference=words.read_word(log.data, 0)[: words.REFERENCE_BYTES],
        root=words.read_word(log.data, 32),
        amount_units=log.uint(2),
        expires_at=log.uint(3),
    )


def _claimed(log: _Log) -> Claimed:
    return Claimed(
        emitter=log.emitter,
        log_index=log.log_index,
        round_id=bytes(log.topics[1]),
        index=words.read_uint(log.topics[2], 0),
        account=log.topic_address(3),
        amount_units=log.uint(0),
    )


def _returned(log: _Log) -> Returned:
    return Returned(
        emitter=log.emitter,
        log_index=log.log_index,
        round_id=bytes(log.topics[1]),
        funder=log.topic_address(2),
        amount_units=log.uint(0),
    )


def _intent_refused(log: _Log) -> IntentRefused:
    return IntentRefused(
        emitter=log.emitter,
        log_index=log.log_index,
        index=words.read_uint(log.topics[1], 0),
        account=log.topic_address(2),
        reason=words.read_word(log.data, 0)[:4],
    )


_DECODERS: dict[bytes, tuple[int, Callable[[_Log], Event]]] = {
    topic_of("Transfer(address,address,uint256)"): (3, _transfer),
    topic_of("BillPaid(bytes16,address,address,uint256,uint256)"): (4, _bill_paid),
    topic_of("FeePaid(bytes16,address,address,uint256)"): (4, _fee_paid),
    topic_of("PayoutMade(bytes16,address,address,address,uint256)"): (4, _payout_made),
    topic_of("BatchPaid(bytes16,address,address,uint256,uint256)"): (4, _batch_paid),
    topic_of("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)"): (4, _user_operation_event),
    topic_of("UserOperationRevertReason(bytes32,address,uint256,bytes)"): (
        3,
        _revert_reason(UserOperationRevertReason),
    ),
    topic_of("PostOpRevertReason(bytes32,address,uint256,bytes)"): (3, _revert_reason(PostOpRevertReason)),
    topic_of("AccountDeployed(bytes32,address,address,address)"): (3, _account_deployed),
    topic_of("BeforeExecution()"): (1, _before_execution),
    topic_of("SessionInstalled(bytes32,address,bytes32,bytes32[5])"): (4, _session_installed),
    topic_of("SessionRevoked(bytes32)"): (2, _session_revoked),
    topic_of("SessionFrozen(bytes32,bool)"): (2, _session_frozen),
    topic_of("BudgetCharged(bytes32,uint64,uint64,uint256)"): (4, _budget_charged),
    topic_of("RoundOpened(bytes32,address,address,bytes16,bytes32,uint256,uint256)"): (4, _round_opened),
    topic_of("Claimed(bytes32,uint256,address,uint256)"): (4, _claimed),
    topic_of("Returned(bytes32,address,uint256)"): (3, _returned),
    topic_of("IntentRefused(uint256,address,bytes4)"): (3, _intent_refused),
}
