"""Which calls that change an account's control an owner key knows: exact forms, and nothing near them."""

import pytest

from contracts.bindings import accounts, control
from custody.domain import control_calls

ACCOUNT, OWNER, OTHER = bytes.fromhex("11" * 20), bytes.fromhex("22" * 20), bytes.fromhex("33" * 20)
CHANGE = accounts.encode_change_owner(owner=OWNER)
ANNOUNCEMENT = control.encode_announce_exit(owner=OWNER, keeps_guardian=False)
KEEPING = control.encode_announce_exit(owner=OWNER, keeps_guardian=True)


def batch(*calls: tuple[bytes, bytes], value_wei: int = 0) -> bytes:
    return accounts.encode_execute_batch(
        calls=[accounts.Call(to=to, data=data, value_wei=value_wei) for to, data in calls]
    )


ENROLMENT = accounts.encode_enrol_customer(customer=OWNER)


@pytest.mark.parametrize(
    ("call_data", "expected"),
    [
        (ANNOUNCEMENT, control_calls.ExitAnnouncement(owner=OWNER)),
        (batch((ACCOUNT, ENROLMENT), (ACCOUNT, ANNOUNCEMENT)), control_calls.ExitAnnouncement(owner=OWNER)),
        (KEEPING, control_calls.ExitAnnouncement(owner=OWNER, keeps_guardian=True)),
        (
            batch((ACCOUNT, ENROLMENT), (ACCOUNT, KEEPING)),
            control_calls.ExitAnnouncement(owner=OWNER, keeps_guardian=True),
        ),
        (control.encode_set_guardian(guardian=OTHER), control_calls.GuardianAppointment(guardian=OTHER)),
        (control.encode_cancel_exit(), control_calls.ExitCancellation()),
        (control.encode_exit(), control_calls.Exit()),
        (CHANGE, control_calls.OwnerChange(owner=OWNER)),
        (accounts.encode_schedule_change(call=CHANGE), control_calls.OwnerChange(owner=OWNER)),
    ],
)
def test_knows(call_data: bytes, expected: control_calls.ControlCall) -> None:
    assert control_calls.read(call_data=call_data, account=ACCOUNT) == expected


@pytest.mark.parametrize(
    "call_data",
    [
        b"",
        ANNOUNCEMENT + b"\x00",
        ANNOUNCEMENT[:-1],
        ANNOUNCEMENT[:-1] + b"\x02",
        control.encode_set_guardian(guardian=OTHER) + b"\x00",
        control.encode_exit() + b"\x00",
        ENROLMENT,
        batch((ACCOUNT, ENROLMENT)),
        batch((ACCOUNT, ANNOUNCEMENT), (ACCOUNT, ENROLMENT)),
        batch((OTHER, ENROLMENT), (ACCOUNT, ANNOUNCEMENT)),
        batch((ACCOUNT, ENROLMENT), (ACCOUNT, ANNOUNCEMENT), value_wei=1),
        batch((ACCOUNT, accounts.encode_enrol_customer(customer=OTHER)), (ACCOUNT, ANNOUNCEMENT)),
        batch((ACCOUNT, ENROLMENT), (ACCOUNT, ANNOUNCEMENT), (ACCOUNT, CHANGE)),
        accounts.encode_schedule_change(call=accounts.encode_upgrade(implementation=OWNER)),
        accounts.encode_schedule_change(call=control.encode_set_guardian(guardian=OWNER)),
        accounts.encode_schedule_change(call=CHANGE + b"\x00"),
        accounts.encode_upgrade(implementation=OWNER),
    ],
)
def test_knows_not(call_data: bytes) -> None:
    assert control_calls.read(call_data=call_data, account=ACCOUNT) is None
