"""A customer's consent: frozen terms, their digest, and whether a session keeps to them.

Terms are a JSON object that names `payee`, `token`, `fee_token` (an address or null), `limit_per_payment_units`,
`limit_per_period_units`, `limit_total_units`, `fee_cap_units`, `fee_token_cap_units`, `period_seconds`, `starts_at` and
`ends_at` (ISO 8601 with offset); it may hold more, such as the words that were shown.
"""

import datetime
import json
from collections.abc import Mapping
from typing import Any

from contracts.bindings import sessions, words

_UNITS = {
    "limit_per_payment_units": "max_per_payment_units",
    "limit_per_period_units": "max_per_period_units",
    "limit_total_units": "max_total_units",
    "fee_cap_units": "max_fee_units",
    "fee_token_cap_units": "max_fee_in_fee_token_units",
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
    except (KeyError, ValueError, TypeError, AttributeError):
        return "form of terms"


def _comparisons(terms: Mapping[str, Any], policy: sessions.SessionPolicy) -> list[tuple[str, bool]]:
    addresses = [(name, _address(terms[name]) == getattr(policy, name)) for name in ("payee", "token", "fee_token")]
    units = [(name, int(terms[name]) == getattr(policy, field)) for name, field in _UNITS.items()]
    times = [(name, _seconds(terms[name]) == getattr(policy, name)) for name in ("starts_at", "ends_at")]
    return addresses + units + times


def _address(text: str | None) -> bytes:
    return words.parse_address(text) if text else words.ZERO_ADDRESS


def _seconds(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp())
