"""Terms as a customer would have agreed to them, made from the session that they let in."""

from typing import Any

from contracts.bindings import sessions, words


def terms_of(policy: sessions.SessionPolicy) -> dict[str, Any]:
    """Return the frozen terms that a session policy keeps to."""
    bounds = [(policy.token, policy.max_fee_units)] if policy.max_fee_units else []
    if any(policy.fee_token):
        bounds.append((policy.fee_token, policy.max_fee_in_fee_token_units))
    listed = [{"token": words.checksummed(token), "limit_per_operation": str(cap)} for token, cap in bounds]
    return {
        "type": "ovpp_session_key",
        "actions": ["pay_bills"],
        "payee": words.checksummed(policy.payee),
        "tokens": [
            {
                "token": words.checksummed(policy.token),
                "limit_per_operation": str(policy.max_per_payment_units),
                "limit_per_period": str(policy.max_per_period_units),
                "period_seconds": policy.period_seconds,
                "limit_total": str(policy.max_total_units),
            }
        ],
        "fee": {"mode": "customer", "bounds": listed} if listed else {"mode": "utility"},
        "not_before": policy.starts_at,
        "not_after": policy.ends_at,
        "key": {"mode": "custodial"},
    }
