"""A customer's consent: frozen terms, their digest, and whether a session keeps to them.

Terms are one authorization detail of the type `ovpp_session_key` (RFC 9396), as the authorization server froze it
before the customer read it: `payee`, one of `tokens` with its limits, `fee` with its bounds, `not_before` and
`not_after`; `key` with its public key where the phone keeps it. What else it holds, such as the grant's identifier and
the hash of the words that were shown, is covered by the digest.
"""

import base64
import datetime
import json
from collections.abc import Mapping
from typing import Any

from contracts.bindings import passkeys, sessions, words

EXIT = "ovpp_exit"
"""The type of terms by which a customer leaves custody: `wallet`, `new_owner`, the exit's own identifier,
and `keeps_guardian` where their utility stays the account's guardian."""

CLOSING = "ovpp_closing"
"""The type of terms by which a customer who closes their account has its balance sent: `wallet`, `send_to`, and the
closing's own identifier, `closing_id`."""

CLOSING_CALLED_OFF = "ovpp_closing_called_off"
"""The type of terms by which they call that off: `closing_id`."""

CLOSING_DELAY = datetime.timedelta(days=7)
"""How long a closing waits, in which it can be called off."""

_LIMITS = {
    "limit_per_operation": "max_per_payment_units",
    "limit_per_period": "max_per_period_units",
    "limit_total": "max_total_units",
    "period_seconds": "period_seconds",
}


def digest(*, terms: Mapping[str, Any]) -> bytes:
    """Return the Keccak-256 of the terms' canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return words.keccak(text.encode())


def difference(*, terms: Mapping[str, Any], policy: sessions.SessionPolicy) -> str | None:
    """Return the first of the terms that a session does not keep to, or None."""
    try:
        return next((name for name, agrees in _comparisons(terms, policy) if not agrees), None)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        return "form of terms"


def _comparisons(terms: Mapping[str, Any], policy: sessions.SessionPolicy) -> list[tuple[str, bool]]:
    (limits,) = terms["tokens"]
    token = words.parse_address(limits["token"])
    bounds = _fee_bounds(terms["fee"])
    fee_cap = bounds.pop(token, 0)
    (fee_token, fee_token_cap), *others = bounds.items() or [(words.ZERO_ADDRESS, 0)]
    return [
        ("payee", words.parse_address(terms["payee"]) == policy.payee),
        ("token", token == policy.token),
        *((name, int(limits[name]) == getattr(policy, field)) for name, field in _LIMITS.items()),
        ("fee", fee_cap == policy.max_fee_units and not others),
        ("fee token", fee_token == policy.fee_token and fee_token_cap == policy.max_fee_in_fee_token_units),
        ("key", _client_key(terms.get("key", {})) in (None, policy.key)),
        ("not_before", int(terms["not_before"]) == policy.starts_at),
        ("not_after", int(terms["not_after"]) == policy.ends_at),
    ]


def _client_key(key: Mapping[str, Any]) -> bytes | None:
    """Return the name of the phone's own key, if the terms name one."""
    if key.get("mode") != "client":
        return None
    x, y = (int.from_bytes(base64.urlsafe_b64decode(key["jwk"][name] + "="), "big") for name in ("x", "y"))
    return passkeys.name_of(x=x, y=y)


def _fee_bounds(fee: Mapping[str, Any]) -> dict[bytes, int]:
    if fee["mode"] == "utility":
        return {}
    return {words.parse_address(bound["token"]): int(bound["limit_per_operation"]) for bound in fee["bounds"]}
