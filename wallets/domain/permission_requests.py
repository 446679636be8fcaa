"""Permissions that an application asks a wallet for (ERC-7715), as leave to pay bills.

Three shapes are read: `wallet_requestExecutionPermissions` with `erc20-token-periodic`, the same standard's earlier
`wallet_grantPermissions` with one `permission`, and the older one with `permissions` and `policies`, which viem sends.
Each becomes one authorization request (RFC 9396) or is refused: nothing that is asked is dropped in silence.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from wallets.domain import authorization_details, wallet_calls

PERIODIC, TRANSFER = "erc20-token-periodic", "erc20-token-transfer"
TYPES = (PERIODIC, TRANSFER)
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_MOST_TEXT = 500
_LAST_SECOND = 2**36 - 1  # in the year 4147; what a calendar of four digits holds


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Most units of a token in each period, from now until `expires_at` (Unix seconds).

    `request` is what was sent, to be answered in its own shape; `sender` the wallet that it names, if it does.
    """

    token: str
    period_units: int
    period_seconds: int | None
    expires_at: int
    sender: str | None
    request: Mapping[str, Any]

    def details(self, *, fee_cap_units: int, now_s: int) -> dict[str, Any]:
        """Return the authorization details that ask for it; fees of the network are bounded by `fee_cap_units` each."""
        days = -(-(self.expires_at - now_s) // authorization_details.DAY_SECONDS)
        period = self.period_seconds or max(days, 1) * authorization_details.DAY_SECONDS
        periods = 1 if self.period_seconds is None else max(-(-(self.expires_at - now_s) // period), 1)
        fee: dict[str, Any] = {"mode": "utility"}
        if fee_cap_units:
            bound = authorization_details.FeeBound(token=self.token, per_operation_units=fee_cap_units)
            fee = {"mode": "customer", "bounds": [bound.to_json()]}
        limits = authorization_details.TokenLimits(
            token=self.token,
            per_operation_units=self.period_units,
            per_period_units=self.period_units,
            period_seconds=period,
            total_units=self.period_units * periods,
        )
        return {
            "type": authorization_details.TYPE,
            "actions": list(authorization_details.ACTIONS),
            "tokens": [limits.to_json()],
            "fee": fee,
            "not_after": self.expires_at,
            "key": {"mode": "custodial"},
        } | ({} if self.sender is None else {"wallet": self.sender})


def read(value: object, *, chain_id: int) -> Wish:
    """Return what one permission request asks.

    :raises wallet_calls.RefusedCall: it is malformed, for another chain, or for what no permission here allows.
    """
    if not isinstance(value, Mapping):
        raise _bad("A permission request is an object.")
    _check_signer(value)
    if "chainId" in value and _chain(value["chainId"]) != chain_id:
        raise wallet_calls.RefusedCall(wallet_calls.Code.UNSUPPORTED_CHAIN, "The wallet is on another chain.")
    sender = value.get("from", value.get("address", value.get("account")))
    type_, data, policies = _permission(value)
    units = _units(data, policies, type_=type_)
    return Wish(
        token=wallet_calls.address_of(data.get("tokenAddress", data.get("address")), "the token's address"),
        period_units=units,
        period_seconds=_whole(data.get("periodDuration"), "periodDuration") if type_ == PERIODIC else None,
        expires_at=_expiry(value),
        sender=None if sender is None else wallet_calls.address_of(sender, "from"),
        request=value,
    )


def _permission(value: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], list[Mapping[str, Any]]]:
    listed = value.get("permissions", [value["permission"]] if "permission" in value else None)
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], Mapping):
        raise _bad("Exactly one permission is asked for at a time.")
    permission = listed[0]
    type_, data = permission.get("type"), permission.get("data")
    if type_ not in TYPES:
        raise _bad(f"The permissions of this wallet are {' and '.join(TYPES)}.")
    if not isinstance(data, Mapping):
        raise _bad("A permission's data is an object.")
    known = {"tokenAddress", "address", "ticker", "allowance", "periodAmount", "periodDuration", "justification"}
    if unknown := sorted(set(data) - known):
        raise _bad(f"Not known here: {', '.join(unknown)[:_MOST_TEXT]}.")
    policies = [*_list(permission, "policies"), *_list(value, "policies")]
    if any(not isinstance(each, Mapping) or each.get("type") != "token-allowance" for each in policies):
        raise _bad("The only policy of this wallet is token-allowance.")
    return str(type_), data, policies


def _units(data: Mapping[str, Any], policies: list[Mapping[str, Any]], *, type_: str) -> int:
    given = [data["periodAmount"]] if type_ == PERIODIC and "periodAmount" in data else []
    given += [data["allowance"]] if type_ == TRANSFER and "allowance" in data else []
    given += [_data(each).get("allowance") for each in policies]
    if len(given) != 1:
        raise _bad("Exactly one amount is asked for.")
    if not isinstance(given[0], str) or not _QUANTITY.fullmatch(given[0]) or not int(given[0], 16):
        raise _bad("The amount must be base units above zero, as a hexadecimal quantity.")
    return int(given[0], 16)


def _expiry(value: Mapping[str, Any]) -> int:
    rules = _list(value, "rules")
    if any(not isinstance(rule, Mapping) or rule.get("type") != "expiry" for rule in rules):
        raise _bad("The only rule of this wallet is expiry.")
    found = [_data(rule).get("timestamp") for rule in rules]
    found += [value["expiry"]] if "expiry" in value else []
    if len(found) != 1:
        raise _bad("Exactly one expiry is asked for.")
    expires_at = _whole(found[0], "expiry")
    if expires_at > _LAST_SECOND:
        raise _bad("expiry is in seconds since 1970, and not that far away.")
    return expires_at


def _check_signer(value: Mapping[str, Any]) -> None:
    """Only the wallet itself signs: the key is kept here, and no other is given leave."""
    signer, to = value.get("signer"), value.get("to")
    if signer is not None and (not isinstance(signer, Mapping) or signer.get("type") != "wallet"):
        raise _bad("The only signer here is the wallet: ask with signer {type: wallet}, or none.")
    if to is not None and to != value.get("from"):
        raise _bad("The only account that may use a permission here is the wallet: leave out `to`, or name it.")


def _chain(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise _bad("chainId is no hexadecimal quantity.")


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name, [])
    if not isinstance(found, list):
        raise _bad(f"{name} must be a list.")
    return found


def _data(value: Mapping[str, Any]) -> Mapping[str, Any]:
    found = value.get("data", {})
    if not isinstance(found, Mapping):
        raise _bad("The data of a rule or policy is an object.")
    return found


def _whole(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise _bad(f"{name} must be a whole number of seconds.")
    return value


def _bad(message: str) -> wallet_calls.RefusedCall:
    return wallet_calls.RefusedCall(wallet_calls.Code.BAD_PARAMETERS, message)
