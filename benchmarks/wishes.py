"""Signed operations for the benchmarks: each is the first of an account of its own."""

import dataclasses
import datetime
import secrets
import time

from contracts.bindings import accounts, paymaster, user_operations, words
from tests import chain_fixture

LIFETIME = datetime.timedelta(minutes=30)


@dataclasses.dataclass(frozen=True)
class Made:
    """A signed operation, ready to be queued."""

    operation: user_operations.UserOperation
    hash: str


def make_operations(*, chain: chain_fixture.Chain, count: int, utility_id: int) -> list[Made]:
    """Deploy `count` accounts and sign one sponsored operation of each that ends a session."""
    deployment = chain.deployment
    owners = [chain_fixture.Key(secrets.token_bytes(32)) for _ in range(count)]
    salt = bytes(32)
    valid_until = int(time.time() + LIFETIME.total_seconds())
    made = []
    for owner in owners:
        sender = accounts.account_address(
            factory=deployment.account_factory,
            implementation=deployment.account_implementation,
            owner=owner.address,
            salt=salt,
        )
        operation = user_operations.UserOperation(
            sender=sender,
            nonce=0,
            init_code=accounts.init_code(factory=deployment.account_factory, owner=owner.address, salt=salt),
            call_data=accounts.encode_revoke_sessions(session_ids=[bytes(32)]),
            verification_gas_limit=250_000,
            call_gas_limit=60_000,
            pre_verification_gas=60_000,
            max_priority_fee_per_gas=10**6,
            max_fee_per_gas=3 * 10**9,
        )
        sponsorship = paymaster.Sponsorship(
            paymaster=deployment.paymaster,
            mode=paymaster.FeeMode.UTILITY,
            utility_id=utility_id,
            valid_after=valid_until - paymaster.WINDOW_SECONDS,
            valid_until=valid_until,
            fee_units=0,
            verification_gas_limit=60_000,
            post_op_gas_limit=25_000,
        )
        digest = paymaster.sponsor_digest(operation=operation, sponsorship=sponsorship, chain_id=chain.chain_id)
        operation = paymaster.sponsored(
            operation=operation, sponsorship=sponsorship, sponsor_signature=chain_fixture.SPONSOR.sign(digest)
        )
        hash_ = user_operations.hash_user_operation(
            operation=operation, chain_id=chain.chain_id, entry_point=deployment.entry_point
        )
        signature = b"\x00" + words.signature(owner.sign(hash_))
        made.append(Made(dataclasses.replace(operation, signature=signature), "0x" + hash_.hex()))
    return made
