"""Who is called upward, and which function does which job: dotted paths, checked at start."""

# Called in the transaction of whoever calls (openvpp.core.upcalls.call).
UPCALLS: dict[str, list[str]] = {
    # relayer -> wallets: kwargs `user_operation_hash`, `state`, `detail`, `now`.
    "user_operation.changed": [],
    # wallets -> the app that asked: kwargs `outcome` (wallets.domain.outcome.Outcome), `now`.
    "operation.billing.payment": [],
    "operation.programs.payout": [],
    "operation.wallets.revoke_session": [],
    # customers -> wallets: kwargs `customer_id`, `account_id`, `now`.
    "customers.account_claimed": [],
}

# Run by openvpp.core.jobs: kwargs are the job's JSON arguments and `now`.
JOBS: dict[str, str] = {}
