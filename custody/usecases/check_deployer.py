"""What the signer checks before a deployer's key signs: this version's contracts, our own keys, some coin a day."""

import datetime

from contracts import deployments, plan
from contracts.bindings import words
from custody import models
from custody.domain import deployer_calls, intents, policies
from custody.usecases import check_refill


def check(
    *, key: models.SealedKey, policy: policies.Policy, intent: intents.Intent, now: datetime.datetime
) -> policies.Verdict:
    """Say whether a deployer's transaction may be signed; what other keys sign passes."""
    if not isinstance(policy, policies.Deployer) or not isinstance(intent, intents.Transaction):
        return policies.Allowed()
    steps = read_plan(policy=policy, address=words.parse_address(str(key.address)))
    sent = intent.transaction
    call = deployer_calls.read(
        sent=sent,
        creations={made.salt + made.code for made in steps.creations},
        paymasters=_paymasters(steps=steps, chain_id=policy.chain_id),
    )
    if call is None:
        return policies.Denied("other_call", "The key deploys this version, sets up paymasters and funds our keys.")
    if call.named is not None and not _is_ours(address=call.named, purposes=call.purposes, chain_id=policy.chain_id):
        return policies.Denied("other_receiver", f"{words.checksummed(call.named)} is no such key of this chain.")
    left = check_refill.left_since(key=key, since=now - check_refill.DAY, nonce=sent.nonce) + sent.max_cost_wei
    if left > policy.max_per_day_wei:
        return policies.Denied("above_day_limit", f"{left} wei in a day are above the limit {policy.max_per_day_wei}.")
    return policies.Allowed()


def read_plan(*, policy: policies.Deployer, address: bytes) -> plan.Plan:
    """Return what a deployer's key of this address and policy deploys."""
    brought = plan.External(policy.stablecoin, policy.native_usd, policy.ovpp_usd, policy.stablecoin_usd)
    return plan.make(
        deployer=address,
        treasury=policy.treasury if any(policy.treasury) else address,
        external=brought if any(policy.stablecoin) else None,
    )


def _paymasters(*, steps: plan.Plan, chain_id: int) -> set[bytes]:
    """Return the paymasters of this version, and those that stand recorded for the chain."""
    found = {steps.addresses["paymaster"], steps.addresses["relay_paymaster"]}
    try:
        recorded = deployments.load(chain_id=chain_id)
    except deployments.UnableToLoadDeployment:
        return found
    return found | {recorded.paymaster, recorded.relay_paymaster}


def _is_ours(*, address: bytes, purposes: tuple[str, ...], chain_id: int) -> bool:
    found = models.SealedKey.objects.filter(
        address=words.checksummed(address), purpose__in=purposes, disabled_at__isnull=True
    ).first()
    return found is not None and found.policy.get("chain_id") == chain_id
