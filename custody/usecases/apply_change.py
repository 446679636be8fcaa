"""In the signer: a change that two people made of what is sealed with a key."""

import uuid

from contracts.bindings import words
from controls import models as controls_models
from custody import models, queries
from custody.domain import caps, policies, sealing
from openvpp.core import db, errors


class UnableToApplyChange(errors.UnableTo):
    """No approved change of what is sealed with a key stands behind this, or the key is otherwise than was shown."""


@db.transaction
def apply_change(*, change_id: uuid.UUID, ring: sealing.Ring) -> models.SealedKey:
    """Seal a treasury's key with the caps of an applied change; one that has them already stays as it is.

    :raises UnableToApplyChange: `no_such_change` or `changed_since`.
    :raises sealing.UnableToOpenSeal: the key does not open.
    """
    change = _get_applied(change_id=change_id, kind=controls_models.ChangeRequest.Kind.TREASURY_CAPS)
    key: models.SealedKey = models.SealedKey.objects.select_for_update(no_key=True).get(pk=int(change.subject))
    before, after = caps.read(change.before["caps"]), caps.read(change.after["caps"])
    policy = policies.TreasuryOwner.parse(key.policy)
    if policy.caps == after:
        return key
    if policy.caps != before:
        raise UnableToApplyChange("The key has other caps than were shown.", code="changed_since")
    seal, bound = key.seal, key.binding
    key.policy = key.policy | {"caps": [cap.to_json() for cap in after]}
    key.seal_with(seal=ring.reseal(seal=seal, binding=bound, to=key.binding))
    return key


@db.transaction
def apply_payee(*, change_id: uuid.UUID, key_id: int, ring: sealing.Ring) -> models.SealedKey:
    """Seal the owner key of a customer's wallet for the treasury to which its utility moved by an applied change.

    :raises UnableToApplyChange: `no_such_change`, `not_of_the_utility`, or `changed_since` when the key lets its wallet
        pay neither the treasury before nor the one after.
    :raises sealing.UnableToOpenSeal: the key does not open.
    """
    change = _get_applied(change_id=change_id, kind=controls_models.ChangeRequest.Kind.UTILITY_TERMS)
    key = queries.lock_key(key_id=key_id)
    policy = policies.WalletOwner.parse(key.policy)
    place = queries.get_place(account=policy.account)
    if place is None or place.customer_id is None or place.utility_id != change.utility_id:
        raise UnableToApplyChange("The key is for no customer of that utility.", code="not_of_the_utility")
    before, after = (words.parse_address(str(side["treasury_address"])) for side in (change.before, change.after))
    if policy.payee == after:
        return key
    if policy.payee != before:
        raise UnableToApplyChange("The key lets its wallet pay another than was shown.", code="changed_since")
    seal, bound = key.seal, key.binding
    key.policy = policies.parse(purpose=key.purpose, value=key.policy | {"payee": "0x" + after.hex()}).to_json()
    key.seal_with(seal=ring.reseal(seal=seal, binding=bound, to=key.binding))
    return key


def _get_applied(*, change_id: uuid.UUID, kind: str) -> controls_models.ChangeRequest:
    change: controls_models.ChangeRequest | None = controls_models.ChangeRequest.objects.filter(
        pk=change_id, kind=kind, state=controls_models.ChangeRequest.State.APPLIED
    ).first()
    if change is None or change.checker_id in (None, change.maker_id):
        raise UnableToApplyChange("No change that two people made stands behind this.", code="no_such_change")
    return change
