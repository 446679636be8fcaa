"""What the signer checks before an account changes hands: the customer's wish for an exit, two people for another key.

A frozen wallet changes hands not at all. Calling an exit off needs nothing. What is left in an account that closes goes
where its customer wished a week before.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from contracts.bindings import words
from controls import models as controls_models
from controls import queries as controls
from custody import models, queries
from custody.domain import consents, control_calls, intents, policies

_KEEPS_GUARDIAN = {"keeps_guardian": True}


def check(  # noqa: PLR0911 - one return a rule
    *, key: models.SealedKey, policy: policies.Policy, intent: intents.Intent, now: datetime.datetime
) -> policies.Verdict:
    """Say whether a change of an account's control may be signed; every other intent passes."""
    if not isinstance(policy, policies.WalletOwner) or not isinstance(intent, intents.UserOperation):
        return policies.Allowed()
    call = control_calls.read(call_data=intent.operation.call_data, account=policy.account)
    if call is None or isinstance(call, control_calls.ExitCancellation):
        return policies.Allowed()
    freeze = controls.get_freeze(account=words.checksummed(policy.account), chain_id=policy.chain_id)
    if freeze is not None:
        return policies.Denied("wallet_frozen", f"The wallet is frozen: {freeze.reason}")
    if isinstance(call, control_calls.OwnerChange):
        return _check_successor(key=key, owner=call.owner)
    if isinstance(call, control_calls.ExitAnnouncement):
        kept = _KEEPS_GUARDIAN if call.keeps_guardian else {}
        return _check_wish(key=key, terms={"new_owner": words.checksummed(call.owner), **kept})
    if isinstance(call, control_calls.GuardianAppointment):
        return _check_guardian(key=key, account=policy.account, guardian=call.guardian)
    if isinstance(call, control_calls.BalanceTransfer):
        return _check_closing(key=key, to=call.to, now=now)
    return policies.Allowed()


def _check_guardian(*, key: models.SealedKey, account: bytes, guardian: bytes) -> policies.Verdict:
    """Appoint only the utility's own guardian, and only where the customer wished to keep it."""
    place = queries.get_place(account=account)
    own = models.SealedKey.objects.filter(
        subject=queries.guardian_subject(utility_id=place.utility_id) if place is not None else "",
        purpose=models.SealedKey.Purpose.GUARDIAN,
        policy__account="0x" + guardian.hex(),
    )
    if not own.exists():
        return policies.Denied("other_guardian", "That is not the guardian wallet of the account's utility.")
    return _check_wish(key=key, terms=_KEEPS_GUARDIAN)


def _check_wish(*, key: models.SealedKey, terms: Mapping[str, Any]) -> policies.Verdict:
    wishes = models.Consent.objects.filter(key=key, terms__type=consents.EXIT, terms__contains=terms)
    if any("0x" + consents.digest(terms=wish.terms).hex() == wish.digest for wish in wishes):
        return policies.Allowed()
    return policies.Denied("unknown_consent", "The customer's wish to leave to this key is not on record.")


def _check_closing(*, key: models.SealedKey, to: bytes, now: datetime.datetime) -> policies.Verdict:
    """Send a balance only where the customer wished it a week ago, and has not called that off."""
    wishes = models.Consent.objects.filter(
        key=key,
        terms__type=consents.CLOSING,
        terms__send_to=words.checksummed(to),
        recorded_at__lte=now - consents.CLOSING_DELAY,
    )
    called_off = set(
        models.Consent.objects.filter(key=key, terms__type=consents.CLOSING_CALLED_OFF).values_list(
            "terms__closing_id", flat=True
        )
    )
    for wish in wishes:
        is_whole = "0x" + consents.digest(terms=wish.terms).hex() == wish.digest
        if is_whole and wish.terms.get("closing_id") not in called_off:
            return policies.Allowed()
    return policies.Denied("unknown_consent", "No wish to send the balance there was made a week ago, or it ended.")


def _check_successor(*, key: models.SealedKey, owner: bytes) -> policies.Verdict:
    """Let an account pass on only to a key sealed here for the same account, by an approved change of this key."""
    successor = models.SealedKey.objects.filter(
        address=words.checksummed(owner), purpose=key.purpose, disabled_at__isnull=True
    ).first()
    if successor is None or successor.policy.get("account") != key.policy["account"]:
        return policies.Denied("other_owner", "No key for this account has that address.")
    changes = controls_models.ChangeRequest.objects.filter(
        kind=controls_models.ChangeRequest.Kind.OWNER_KEY,
        state=controls_models.ChangeRequest.State.APPLIED,
        before__owner=str(key.address),
    )
    named = [change for change in changes if successor.subject.endswith(f":{change.pk}")]
    if not any(change.checker_id not in (None, change.maker_id) for change in named):
        return policies.Denied("no_such_change", "No change that two people made stands behind this.")
    return policies.Allowed()
