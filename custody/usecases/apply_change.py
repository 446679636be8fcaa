"""In the signer: a change that two people made of what is sealed with a key."""

import uuid

from controls import models as controls_models
from custody import models
from custody.domain import caps, policies, sealing
from openvpp.core import db, errors


class UnableToApplyChange(errors.UnableTo):
    """No approved change of a key's caps stands behind this, or the key has other caps than it was shown with."""


@db.transaction
def apply_change(*, change_id: uuid.UUID, ring: sealing.Ring) -> models.SealedKey:
    """Seal a treasury's key with the caps of an applied change; one that has them already stays as it is.

    :raises UnableToApplyChange: `no_such_change` or `changed_since`.
    :raises sealing.UnableToOpenSeal: the key does not open.
    """
    change = controls_models.ChangeRequest.objects.filter(
        pk=change_id,
        kind=controls_models.ChangeRequest.Kind.TREASURY_CAPS,
        state=controls_models.ChangeRequest.State.APPLIED,
    ).first()
    if change is None or change.checker_id in (None, change.maker_id):
        raise UnableToApplyChange("No change that two people made stands behind this.", code="no_such_change")
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
