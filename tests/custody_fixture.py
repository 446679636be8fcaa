"""Terms as a customer would have agreed to them, made from the session that they let in."""

import datetime
from typing import Any

from contracts.bindings import sessions, words


def terms_of(policy: sessions.SessionPolicy) -> dict[str, Any]:
    """Return the frozen terms that a session policy keeps to."""
    return {
        "payee": words.checksummed(policy.payee),
        "token": words.checksummed(policy.token),
        "fee_token": words.checksummed(policy.fee_token) if any(policy.fee_token) else None,
        "limit_per_payment_units": policy.max_per_payment_units,
        "limit_per_period_units": policy.max_per_period_units,
        "limit_total_units": policy.max_total_units,
        "fee_cap_units": policy.max_fee_units,
        "fee_token_cap_units": policy.max_fee_in_fee_token_units,
        "period_seconds": policy.period_seconds,
        "starts_at": _instant(policy.starts_at),
        "ends_at": _instant(policy.ends_at),
        "shown_text": "Who pays: the app, for you",
    }


def _instant(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).isoformat()
