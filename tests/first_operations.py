"""Sponsored operations, signed: each is the first of an account of its own, which it deploys."""

import dataclasses
import secrets

from contracts.bindings import accounts, paymaster, user_operations, words
from tests import chain_fixture


@dataclasses.dataclass(frozen=True)
class Signed:
    """A signed operation, ready to be queued."""

    operation: user_operations.UserOperation
    hash: str


def sign(
    *,
    chain: chain_fixture.Chain,
    utility_id: int,
    call_data: bytes,
    call_gas_limit: int,
    max_fee_per_gas: int,
    valid_until: int,
) -> Signed:
    """Return an operation of a new account that the utility pays for, until `valid_until` in seconds of the epoch."""
    deployment, salt = chain.deployment, bytes(32)
    owner = chain_fixture.Key(secrets.token_bytes(32))
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
        call_data=call_data,
        verification_gas_limit=250_000,
        call_gas_limit=call_gas_limit,
        pre_verification_gas=60_000,
        max_priority_fee_per_gas=10**6,
        max_fee_per_gas=max_fee_per_gas,
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
    return Signed(dataclasses.replace(operation, signature=signature), "0x" + hash_.hex())
