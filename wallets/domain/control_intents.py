"""What an operation changes about who controls an account, decoded, and the account's calldata for it.

Each kind's intent is JSON: `owner` is checksummed text; `enrols` says whether the customer's key is enrolled with the
announcement, because none was before, `keeps_guardian` whether the guardian stays. What a guardian does names the other
`account`, and the `previous_owner` of its recovery. A balance goes `to` one address, each of `balances` a token and
decimal units.
"""

from collections.abc import Mapping
from typing import Any

from contracts.bindings import accounts, control, tokens, words

KINDS = frozenset(
    {
        "wallets.announce_exit",
        "wallets.cancel_exit",
        "wallets.exit",
        "wallets.announce_owner",
        "wallets.change_owner",
        "wallets.send_balance",
        "wallets.appoint_guardian",
        "wallets.schedule_recovery",
        "wallets.cancel_recovery",
        "wallets.recover",
    }
)


_PLAIN = {"wallets.cancel_exit": control.encode_cancel_exit(), "wallets.exit": control.encode_exit()}
_OF_GUARDIAN = frozenset({"wallets.schedule_recovery", "wallets.cancel_recovery", "wallets.recover"})


def call_data(*, kind: str, account: bytes, intent: Mapping[str, Any]) -> bytes:
    """Return the account's calldata.

    :raises KeyError: the kind is none of these, or the intent lacks its owner.
    """
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "wallets.send_balance":
        return _send_balance(intent)
    if kind == "wallets.appoint_guardian":
        return control.encode_set_guardian(guardian=words.parse_address(intent["guardian"]))
    owner = words.parse_address(intent["owner"])
    if kind in _OF_GUARDIAN:
        call = accounts.Call(
            to=words.parse_address(intent["account"]), data=_of_guardian(kind=kind, owner=owner, intent=intent)
        )
        return accounts.encode_execute_batch(calls=[call])
    if kind == "wallets.announce_exit":
        return _announce_exit(account=account, owner=owner, intent=intent)
    change = accounts.encode_change_owner(owner=owner)
    return {"wallets.announce_owner": accounts.encode_schedule_change(call=change), "wallets.change_owner": change}[
        kind
    ]


def _send_balance(intent: Mapping[str, Any]) -> bytes:
    to = words.parse_address(intent["to"])
    return accounts.encode_execute_batch(
        calls=[
            accounts.Call(to=words.parse_address(token), data=tokens.encode_transfer(to=to, amount_units=int(units)))
            for token, units in intent["balances"]
        ]
    )


def _announce_exit(*, account: bytes, owner: bytes, intent: Mapping[str, Any]) -> bytes:
    announcement = control.encode_announce_exit(owner=owner, keeps_guardian=bool(intent.get("keeps_guardian")))
    if not intent["enrols"]:
        return announcement
    enrolment = accounts.encode_enrol_customer(customer=owner)
    return accounts.encode_execute_batch(
        calls=[accounts.Call(to=account, data=enrolment), accounts.Call(to=account, data=announcement)]
    )


def _of_guardian(*, kind: str, owner: bytes, intent: Mapping[str, Any]) -> bytes:
    if kind == "wallets.schedule_recovery":
        return control.encode_schedule_recovery(owner=owner)
    recovery = control.encode_recover(previous_owner=words.parse_address(intent["previous_owner"]), owner=owner)
    if kind == "wallets.recover":
        return recovery
    return control.encode_call_as_customer(
        call=accounts.encode_cancel_change(call=recovery), signature=bytes.fromhex(intent["signature"][2:])
    )
