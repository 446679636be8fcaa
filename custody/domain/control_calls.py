"""Calls that change who controls a customer's account, as the signer reads them: by their exact form, or not at all."""

import dataclasses

from contracts.bindings import accounts, control, tokens, words

_ANNOUNCE_EXIT = control.encode_announce_exit(owner=words.ZERO_ADDRESS, keeps_guardian=False)[:4]
_SET_GUARDIAN = control.encode_set_guardian(guardian=words.ZERO_ADDRESS)[:4]
_CHANGE_OWNER = accounts.encode_change_owner(owner=words.ZERO_ADDRESS)[:4]
_SCHEDULE_CHANGE = accounts.encode_schedule_change(call=b"")[:4]
_EXECUTE = accounts.encode_execute_batch(calls=[])[:4]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExitAnnouncement:
    """Announces the exit to `owner`, and may enrol that key as the customer's."""

    owner: bytes
    keeps_guardian: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GuardianAppointment:
    """Appoints `guardian`, the account's first."""

    guardian: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExitCancellation:
    """Calls the announced exit off."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Carries the announced exit out, which anybody may."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OwnerChange:
    """Announces `owner` as the next owner, or makes it the owner."""

    owner: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BalanceTransfer:
    """Sends tokens of an account that closes to one address."""

    to: bytes


type _Formed = ExitAnnouncement | GuardianAppointment | OwnerChange
type ControlCall = ExitAnnouncement | GuardianAppointment | ExitCancellation | Exit | OwnerChange | BalanceTransfer


def read(*, call_data: bytes, account: bytes) -> ControlCall | None:
    """Return what a call to the account `account` changes about its control; None for every other call."""
    if call_data == control.encode_cancel_exit():
        return ExitCancellation()
    if call_data == control.encode_exit():
        return Exit()
    selector = call_data[:4]
    if selector == _EXECUTE and (transfer := _read_transfer(call_data=call_data, account=account)) is not None:
        return transfer
    try:
        if selector == _ANNOUNCE_EXIT:
            found: _Formed = _read_announcement(call_data)
        elif selector == _EXECUTE:
            _enrolment, announcement = accounts.decode_execute_batch(call_data=call_data)
            found = _read_announcement(announcement.data)
        elif selector == _SET_GUARDIAN:
            found = GuardianAppointment(guardian=words.read_address(call_data[4:], 0))
        elif selector == _SCHEDULE_CHANGE:
            found = OwnerChange(owner=words.read_address(words.read_bytes(call_data[4:], 32)[4:], 0))
        elif selector == _CHANGE_OWNER:
            found = OwnerChange(owner=words.read_address(call_data[4:], 0))
        else:
            return None
    except ValueError:
        return None
    return found if call_data in _forms(call=found, account=account) else None


def _read_announcement(call_data: bytes) -> ExitAnnouncement:
    return ExitAnnouncement(
        owner=words.read_address(call_data[4:], 0), keeps_guardian=words.read_uint(call_data[4:], 32) == 1
    )


def _read_transfer(*, call_data: bytes, account: bytes) -> BalanceTransfer | None:
    try:
        calls = accounts.decode_execute_batch(call_data=call_data)
        sent = [(words.read_address(call.data[4:], 0), words.read_uint(call.data[4:], 32)) for call in calls]
    except ValueError:
        return None
    form = [
        accounts.Call(to=call.to, data=tokens.encode_transfer(to=to, amount_units=units))
        for call, (to, units) in zip(calls, sent, strict=True)
    ]
    payees = {to for to, _units in sent}
    if len(payees) != 1 or any(call.to == account for call in calls):
        return None
    return BalanceTransfer(to=payees.pop()) if accounts.encode_execute_batch(calls=form) == call_data else None


def _forms(*, call: _Formed, account: bytes) -> list[bytes]:
    """Return the only calldata that mean such a call."""
    if isinstance(call, GuardianAppointment):
        return [control.encode_set_guardian(guardian=call.guardian)]
    if isinstance(call, OwnerChange):
        change = accounts.encode_change_owner(owner=call.owner)
        return [change, accounts.encode_schedule_change(call=change)]
    announcement = control.encode_announce_exit(owner=call.owner, keeps_guardian=call.keeps_guardian)
    enrolment = accounts.encode_enrol_customer(customer=call.owner)
    both = [accounts.Call(to=account, data=enrolment), accounts.Call(to=account, data=announcement)]
    return [announcement, accounts.encode_execute_batch(calls=both)]
