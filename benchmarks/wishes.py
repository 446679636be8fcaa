"""Signed operations for the benchmarks: each is the first of an account of its own."""

import datetime
import time

from contracts.bindings import accounts
from tests import chain_fixture, first_operations

LIFETIME = datetime.timedelta(minutes=30)


def make_operations(*, chain: chain_fixture.Chain, count: int, utility_id: int) -> list[first_operations.Signed]:
    """Sign `count` sponsored operations, each of which deploys its account and ends a session."""
    valid_until = int(time.time() + LIFETIME.total_seconds())
    return [
        first_operations.sign(
            chain=chain,
            utility_id=utility_id,
            call_data=accounts.encode_revoke_sessions(session_ids=[bytes(32)]),
            call_gas_limit=60_000,
            max_fee_per_gas=3 * 10**9,
            valid_until=valid_until,
        )
        for _ in range(count)
    ]
