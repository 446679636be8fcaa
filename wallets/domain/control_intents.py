"""What an operation changes about who controls an account, decoded, and the account's calldata for it.

Each kind's intent is JSON: `owner` is checksummed text; `enrols` says whether the customer's key is enrolled with the
announcement, because none was before. A balance goes `to` one address, each of `balances` a token and decimal units.
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
    }
)


def call_data(*, kind: str, account: bytes, intent: Mapping[str, Any]) -> bytes:
    """Return the account's calldata.

    :raises KeyError: the kind is none of these, or the intent lacks its owner.
    """
    if kind == "wallets.cancel_exit":
        return control.encode_cancel_exit()
    if kind == "wallets.exit":
        return control.encode_exit()
    if kind == "wallets.send_balance":
        to = words.parse_address(intent["to"])
        return accounts.encode_execute_batch(
            calls=[
                accounts.Call(
                    to=words.parse_address(token), data=tokens.encode_transfer(to=to, amount_units=int(units))
                )
                for token, units in intent["balances"]
            ]
        )
    owner = words.parse_address(intent["owner"])
    if kind == "wallets.announce_exit":
        announcement = control.encode_announce_exit(owner=owner, keeps_guardian=False)
        if not intent["enrols"]:
            return announcement
        enrolment = accounts.encode_enrol_customer(customer=owner)
        return accounts.encode_execute_batch(
            calls=[accounts.Call(to=account, data=enrolment), accounts.Call(to=account, data=announcement)]
        )
    change = accounts.encode_change_owner(owner=owner)
    return {"wallets.announce_owner": accounts.encode_schedule_change(call=change), "wallets.change_owner": change}[
        kind
    ]
