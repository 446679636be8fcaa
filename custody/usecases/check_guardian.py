"""What the signer checks before a utility's guardian acts.

The account is one of a customer of that utility; a recovery was proven by the new key and decided by two people.
"""

import datetime

from contracts.bindings import words
from controls import models as controls_models
from controls import queries as controls
from custody import models, queries
from custody.domain import consents, guardian_calls, intents, policies, recoveries

PROPOSED_WITHIN = datetime.timedelta(days=1)
"""How long after two people decided it a recovery may be proposed, so that one that was called off is not again."""


def check(
    *, key: models.SealedKey, policy: policies.Policy, intent: intents.Intent, now: datetime.datetime
) -> policies.Verdict:
    """Say whether a guardian may do this; what other keys sign passes."""
    if not isinstance(policy, policies.Guardian) or not isinstance(intent, intents.UserOperation):
        return policies.Allowed()
    call = guardian_calls.read(call_data=intent.operation.call_data)
    place = queries.get_place(account=call.account) if call is not None else None
    if call is None or place is None or place.customer_id is None:
        return policies.Denied("other_account", "No customer of ours has that account.")
    if key.subject != queries.guardian_subject(utility_id=place.utility_id):
        return policies.Denied("other_utility", "The account is of another utility's customer.")
    if not isinstance(call, guardian_calls.Recovery):
        return policies.Allowed()
    freeze = controls.get_freeze(account=words.checksummed(call.account), chain_id=policy.chain_id)
    if freeze is not None:
        return policies.Denied("wallet_frozen", f"The wallet is frozen: {freeze.reason}")
    return _check_recovery(call=call, utility_id=place.utility_id, now=now)


def _check_recovery(*, call: guardian_calls.Recovery, utility_id: int, now: datetime.datetime) -> policies.Verdict:
    account, owner = words.checksummed(call.account), words.checksummed(call.owner)
    wishes = models.Consent.objects.filter(terms__type=recoveries.TERMS, terms__wallet=account, terms__new_owner=owner)
    proven = [
        str(wish.terms["recovery_id"])
        for wish in wishes
        if "0x" + consents.digest(terms=wish.terms).hex() == wish.digest and recoveries.is_proven(terms=wish.terms)
    ]
    if not proven:
        return policies.Denied("unknown_consent", "The new key did not sign that it is to own this wallet.")
    changes = controls_models.ChangeRequest.objects.filter(
        kind=controls_models.ChangeRequest.Kind.RECOVER_WALLET,
        state=controls_models.ChangeRequest.State.APPLIED,
        utility_id=utility_id,
        after__wallet=account,
        after__new_owner=owner,
        after__recovery_id__in=proven,
    )
    if not call.is_carried_out:
        changes = changes.filter(decided_at__gt=now - PROPOSED_WITHIN)
    if not any(change.checker_id not in (None, change.maker_id) for change in changes):
        return policies.Denied("no_such_change", "No change that two people made lately stands behind this.")
    return policies.Allowed()
