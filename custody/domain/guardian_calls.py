"""What a guardian's wallet does to another account, one call an operation: by its exact form, or not at all."""

import dataclasses

from contracts.bindings import accounts, control, words

_REVOKE = accounts.encode_revoke_sessions(session_ids=[])[:4]
_HOLD = control.encode_hold_sessions(session_ids=[])[:4]
_SCHEDULE = control.encode_schedule_recovery(owner=words.ZERO_ADDRESS)[:4]
_RECOVER = control.encode_recover(previous_owner=words.ZERO_ADDRESS, owner=words.ZERO_ADDRESS)[:4]
_AS_CUSTOMER = words.selector("callAsCustomer(bytes,bytes)")
_CANCEL_CHANGE = words.selector("cancelChange(bytes32)")
_CANCEL_CHANGE_BYTES = 36


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionStop:
    """Holds sessions of `account` for a week, or ends them."""

    account: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Proposes `owner` as the owner of `account`, or carries that out if `is_carried_out`."""

    account: bytes
    owner: bytes
    is_carried_out: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CustomersWord:
    """Brings `account` what its customer's key signed: that an announced change is called off."""

    account: bytes


type GuardianCall = SessionStop | Recovery | CustomersWord


def read(*, call_data: bytes) -> GuardianCall | None:
    """Return what a guardian's operation does to one account; None for every other operation."""
    try:
        (call,) = accounts.decode_execute_batch(call_data=call_data)
        if call.value_wei or accounts.encode_execute_batch(calls=[call]) != call_data:
            return None
        return _read(account=call.to, data=call.data)
    except ValueError:
        return None


def _read(*, account: bytes, data: bytes) -> GuardianCall | None:
    selector, given = data[:4], data[4:]
    if selector in (_HOLD, _REVOKE):
        return SessionStop(account=account)
    if selector == _SCHEDULE:
        owner = words.read_address(given, 0)
        form = control.encode_schedule_recovery(owner=owner)
        return Recovery(account=account, owner=owner, is_carried_out=False) if form == data else None
    if selector == _RECOVER:
        previous, owner = words.read_address(given, 0), words.read_address(given, 32)
        form = control.encode_recover(previous_owner=previous, owner=owner)
        return Recovery(account=account, owner=owner, is_carried_out=True) if form == data else None
    if selector == _AS_CUSTOMER:
        wish = words.read_bytes(given, words.read_uint(given, 0))
        signature = words.read_bytes(given, words.read_uint(given, 32))
        form = control.encode_call_as_customer(call=wish, signature=signature)
        is_cancelling = wish[:4] == _CANCEL_CHANGE and len(wish) == _CANCEL_CHANGE_BYTES
        return CustomersWord(account=account) if is_cancelling and form == data else None
    return None
