"""Accounts: their addresses, how they are deployed, and what their owners call."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from contracts.bindings import sessions, words

_CREATE_ACCOUNT = words.selector("createAccount(address,bytes32)")
_SCHEDULE_CHANGE = words.selector("scheduleChange(bytes)")
_CANCEL_CHANGE = words.selector("cancelChange(bytes32)")
_ENROL_CUSTOMER = words.selector("enrolCustomer(address)")
_CHANGE_OWNER = words.selector("changeOwner(address)")
_UPGRADE = words.selector("upgradeToAndCall(address,bytes)")
_CREATE_WITH_SESSION = words.selector("createAccountWithSession(address,bytes32,bytes32[5],bytes)")
_INSTALL_SESSION = words.selector("installSession(bytes32[5],bytes)")
_REVOKE_SESSIONS = words.selector("revokeSessions(bytes32[])")
_FREEZE_SESSIONS = words.selector("freezeSessions(bytes32[])")
_UNFREEZE_SESSIONS = words.selector("unfreezeSessions(bytes32[])")
_RENOUNCE_SESSION = words.selector("renounceSession(bytes32[5])")
_SESSION = words.selector("session(bytes32)")
_EXECUTE = words.selector("execute(bytes32,bytes)")
_BATCH_MODE = b"\x01".ljust(32, b"\x00")

# The 104-byte proxy of AccountProxies.sol, around the implementation and the owner.
_PROXY_HEAD = bytes.fromhex(
    "60688060095f395ff3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc54806044575073"
)
_PROXY_TAIL = bytes.fromhex("5b5af43d5f5f3e5f3d91605257fd5bf3")

# What stands on the chain before the implementation, and between that and the owner.
PROXY_RUNTIME_HEAD, PROXY_RUNTIME_TAIL = _PROXY_HEAD[9:], _PROXY_TAIL


class UnableToReadCall(ValueError):
    """Calldata is not of the call that was expected."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a batch: target, native coin in wei, calldata."""

    to: bytes
    value_wei: int = 0
    data: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """Where a session stands on chain; amounts in base units of the policy's token, fees in it included.

    It is frozen by its owner, or held by the guardian for now.
    """

    is_installed: bool
    is_revoked: bool
    is_frozen: bool
    spent_total_units: int
    spent_in_period_units: int
    period: int
    lane_sequence: int


def account_address(*, factory: bytes, implementation: bytes, owner: bytes, salt: bytes) -> bytes:
    """Return the address of an account, deployed or not; `salt` is 32 random bytes."""
    for what, value in (("the factory", factory), ("the implementation", implementation), ("the owner", owner)):
        words.exactly(value, words.ADDRESS_BYTES, what)
    code_hash = words.keccak(_PROXY_HEAD + implementation + _PROXY_TAIL + owner)
    return words.keccak(b"\xff" + factory + words.exactly(salt, words.HASH_BYTES, "a salt") + code_hash)[12:]


def init_code(*, factory: bytes, owner: bytes, salt: bytes) -> bytes:
    """Return the init code of an account's first operation: the factory and its call."""
    call = _CREATE_ACCOUNT + words.address(owner) + words.exactly(salt, words.HASH_BYTES, "a salt")
    return words.exactly(factory, words.ADDRESS_BYTES, "the factory") + call


def encode_create_account_with_session(
    *, owner: bytes, salt: bytes, policy: sessions.SessionPolicy, leave: bytes
) -> bytes:
    """Return the factory calldata that deploys an account and installs its first session, for anybody to send."""
    parts = (
        words.address(owner),
        words.exactly(salt, words.HASH_BYTES, "a salt"),
        sessions.pack(policy=policy),
        words.dynamic(sessions.checked_leave(leave)),
    )
    return _CREATE_WITH_SESSION + words.arguments(parts)


def encode_install_session(*, policy: sessions.SessionPolicy, leave: bytes) -> bytes:
    """Return the account calldata that installs a session, for anybody to send."""
    parts = (sessions.pack(policy=policy), words.dynamic(sessions.checked_leave(leave)))
    return _INSTALL_SESSION + words.arguments(parts)


def encode_execute_batch(*, calls: Sequence[Call]) -> bytes:
    """Return the account calldata by which its owner makes calls, all or none (ERC-7821)."""
    items = [
        words.Tail(words.arguments((words.address(call.to), words.uint(call.value_wei), words.dynamic(call.data))))
        for call in calls
    ]
    batch = words.Tail(words.uint(len(items)) + words.arguments(items))
    return _EXECUTE + words.arguments((_BATCH_MODE, words.dynamic(words.arguments((batch,)))))


def decode_execute_batch(*, call_data: bytes) -> tuple[Call, ...]:
    """Return the calls of a batch.

    :raises UnableToReadCall: if it is no batch.
    """
    if call_data[:4] != _EXECUTE or call_data[4:36] != _BATCH_MODE:
        message = "not a batch of calls"
        raise UnableToReadCall(message)
    try:
        batch = words.read_bytes(call_data[4:], words.read_uint(call_data, 36))
        start = words.read_uint(batch, 0)
        count = words.read_uint(batch, start)
        items = batch[start + 32 :]
        return tuple(_read_call(items, words.read_uint(items, 32 * i)) for i in range(count))
    except ValueError as error:
        message = "the batch of calls is cut short"
        raise UnableToReadCall(message) from error


def encode_revoke_sessions(*, session_ids: Sequence[bytes]) -> bytes:
    """Return the account calldata by which its owner ends sessions for ever."""
    return _REVOKE_SESSIONS + _ids(session_ids)


def encode_freeze_sessions(*, session_ids: Sequence[bytes]) -> bytes:
    """Return the account calldata by which its owner stops sessions until they are unfrozen."""
    return _FREEZE_SESSIONS + _ids(session_ids)


def encode_unfreeze_sessions(*, session_ids: Sequence[bytes]) -> bytes:
    """Return the account calldata by which its owner lets frozen sessions go on."""
    return _UNFREEZE_SESSIONS + _ids(session_ids)


def encode_renounce_session(*, policy: sessions.SessionPolicy) -> bytes:
    """Return the account calldata by which a session key ends itself, directly or in an operation that it signs."""
    return _RENOUNCE_SESSION + sessions.pack(policy=policy)


def encode_schedule_change(*, call: bytes) -> bytes:
    """Return the account calldata by which a custodian announces an upgrade or a change of owner."""
    return _SCHEDULE_CHANGE + words.arguments((words.dynamic(call),))


def encode_cancel_change(*, call: bytes) -> bytes:
    """Return the account calldata by which the owner or the customer's key calls an announced change off."""
    return _CANCEL_CHANGE + words.keccak(call)


def encode_enrol_customer(*, customer: bytes) -> bytes:
    """Return the account calldata by which the owner enrols the customer's key, or the customer replaces it."""
    return _ENROL_CUSTOMER + words.address(customer)


def encode_change_owner(*, owner: bytes) -> bytes:
    """Return the account calldata that gives the account to another owner; a custodian announces it first."""
    return _CHANGE_OWNER + words.address(owner)


def encode_upgrade(*, implementation: bytes) -> bytes:
    """Return the account calldata that replaces the implementation; a custodian announces it first."""
    return _UPGRADE + words.arguments((words.address(implementation), words.dynamic(b"")))


def encode_session(*, session_id: bytes) -> bytes:
    """Return the account calldata that asks where a session stands."""
    return _SESSION + words.exactly(session_id, words.HASH_BYTES, "a session id")


def decode_session(*, result: bytes) -> SessionState:
    """Return what an account answered to `encode_session`.

    :raises ValueError: if it answered something else; an account that is not deployed answers nothing.
    """
    words.exactly(result, 160, "a session's state")
    flags, total, in_period, period, sequence = (words.read_uint(result, 32 * i) for i in range(5))
    return SessionState(
        is_installed=bool(flags & 1),
        is_revoked=bool(flags & 2),
        is_frozen=bool(flags & 12),
        spent_total_units=total,
        spent_in_period_units=in_period,
        period=period,
        lane_sequence=sequence,
    )


def _ids(session_ids: Sequence[bytes]) -> bytes:
    return words.arguments((words.array([words.exactly(i, words.HASH_BYTES, "a session id") for i in session_ids]),))


def _read_call(items: bytes, start: int) -> Call:
    item = items[start:]
    return Call(
        to=words.read_address(item, 0),
        value_wei=words.read_uint(item, 32),
        data=words.read_bytes(item, words.read_uint(item, 64)),
    )
