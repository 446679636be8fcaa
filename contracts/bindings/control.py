"""Who controls an account: guardian, recovery, exit from custody, and what the customer's own key may do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from contracts.bindings import passkeys, sessions, words

CUSTODIAN_DELAY_SECONDS = 48 * 3600
HOLD_SECONDS = 7 * 86_400

_SET_GUARDIAN = words.selector("setGuardian(address)")
_HOLD_SESSIONS = words.selector("holdSessions(bytes32[])")
_SCHEDULE_RECOVERY = words.selector("scheduleRecovery(address)")
_RECOVER = words.selector("recover(address,address)")
_ALLOW_CALLS = words.selector("allowCalls(address,bytes4)")
_FORBID_CALLS = words.selector("forbidCalls(address,bytes4)")
_ANNOUNCE_EXIT = words.selector("announceExit(address,bool)")
_CANCEL_EXIT = words.selector("cancelExit()")
_EXIT = words.selector("exit()")
_CALL_AS_CUSTOMER = words.selector("callAsCustomer(bytes,bytes)")
_ANNOUNCED_EXIT = words.selector("announcedExit()")
_IS_SELF_CUSTODIED = words.selector("isSelfCustodied()")
_CUSTOMER = words.selector("customer()")
_GUARDIAN = words.selector("guardian()")
_CHANGE_READY_AT = words.selector("changeReadyAt(bytes32)")
_CUSTOMER_CALL_DIGEST = words.selector("customerCallDigest(bytes)")
_OWNER = words.selector("owner()")
_CUSTOMER_CALL_TYPEHASH = words.keccak(b"CustomerCall(bytes call,uint256 nonce)")


def encode_set_guardian(*, guardian: bytes) -> bytes:
    """Return the account calldata that appoints a guardian; a custodian announces all but the first."""
    return _SET_GUARDIAN + words.address(guardian)


def encode_hold_sessions(*, session_ids: Sequence[bytes]) -> bytes:
    """Return the account calldata by which its guardian stops sessions for a week."""
    ids = [words.exactly(i, words.HASH_BYTES, "a session id") for i in session_ids]
    return _HOLD_SESSIONS + words.arguments((words.array(ids),))


def encode_schedule_recovery(*, owner: bytes) -> bytes:
    """Return the account calldata by which its guardian proposes another owner; it waits 48 hours."""
    return _SCHEDULE_RECOVERY + words.address(owner)


def encode_recover(*, previous_owner: bytes, owner: bytes) -> bytes:
    """Return the account calldata that carries out a recovery that is ripe, for anybody to send."""
    return _RECOVER + words.address(previous_owner) + words.address(owner)


def encode_allow_calls(*, target: bytes, selector: bytes) -> bytes:
    """Return the account calldata that lets sessions make a kind of call; a custodian announces it first."""
    return _ALLOW_CALLS + words.address(target) + words.left_aligned(selector, length=4)


def encode_forbid_calls(*, target: bytes, selector: bytes) -> bytes:
    """Return the account calldata that lets sessions make a kind of call no longer."""
    return _FORBID_CALLS + words.address(target) + words.left_aligned(selector, length=4)


def encode_announce_exit(*, owner: bytes, keeps_guardian: bool) -> bytes:
    """Return the account calldata by which its custodian or its customer announces the exit to the customer's key."""
    return _ANNOUNCE_EXIT + words.address(owner) + words.flag(keeps_guardian)


def encode_cancel_exit() -> bytes:
    """Return the account calldata that calls an announced exit off."""
    return _CANCEL_EXIT


def encode_exit() -> bytes:
    """Return the account calldata that carries out an exit that is ripe, for anybody to send."""
    return _EXIT


def customer_call_digest(*, call: bytes, nonce: int, chain_id: int, account: bytes) -> bytes:
    """Return the digest that the customer's key signs for a call; `nonce` is how many it has signed before."""
    struct_hash = words.keccak(_CUSTOMER_CALL_TYPEHASH + words.keccak(call) + words.uint(nonce, bits=96))
    domain = sessions.account_domain(chain_id=chain_id, account=account)
    return words.typed_data_hash(domain=domain, struct_hash=struct_hash)


def encode_call_as_customer(*, call: bytes, signature: bytes) -> bytes:
    """Return the account calldata that does what the customer's key signed, for anybody to send.

    `call` is `cancelChange`, `enrolCustomer`, `announceExit` or `cancelExit`.
    """
    return _CALL_AS_CUSTOMER + words.arguments((words.dynamic(call), words.dynamic(passkeys.checked(signature))))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedExit:
    """An exit that stands announced on chain; `ready_at` in Unix seconds."""

    owner: bytes
    ready_at: int
    keeps_guardian: bool
    is_customers: bool


def encode_announced_exit() -> bytes:
    """Return the account calldata that asks for the announced exit."""
    return _ANNOUNCED_EXIT


def decode_announced_exit(*, result: bytes) -> AnnouncedExit | None:
    """Return what an account answered to `encode_announced_exit`; None if no exit is announced.

    :raises ValueError: if it answered something else.
    """
    words.exactly(result, 128, "an announced exit")
    owner = words.read_address(result, 0)
    if owner == words.ZERO_ADDRESS:
        return None
    return AnnouncedExit(
        owner=owner,
        ready_at=words.read_uint(result, 32),
        keeps_guardian=bool(words.read_uint(result, 64)),
        is_customers=bool(words.read_uint(result, 96)),
    )


def encode_is_self_custodied() -> bytes:
    """Return the account calldata that asks whether its owner is a key that the customer holds (one word)."""
    return _IS_SELF_CUSTODIED


def encode_customer() -> bytes:
    """Return the account calldata that asks for the customer's enrolled key (one word, zero for none)."""
    return _CUSTOMER


def encode_guardian() -> bytes:
    """Return the account calldata that asks for its guardian (one word, zero for none)."""
    return _GUARDIAN


def encode_change_ready_at(*, call: bytes) -> bytes:
    """Return the account calldata that asks from when on an announced call may be made (one word, zero for never)."""
    return _CHANGE_READY_AT + words.keccak(call)


def encode_customer_call_digest(*, call: bytes) -> bytes:
    """Return the account calldata that asks what the customer's key signs now for a call (one word)."""
    return _CUSTOMER_CALL_DIGEST + words.arguments((words.dynamic(call),))


def encode_owner() -> bytes:
    """Return the account calldata that asks for its owner (one word)."""
    return _OWNER
