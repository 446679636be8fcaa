"""A new key-encryption key: data keys are wrapped again, the sealed keys themselves stay as they are."""

from custody import models
from custody.domain import sealing
from openvpp.core import db


@db.durable
def rewrap_keys(*, ring: sealing.Ring) -> int:
    """Wrap every data key by the ring's current key-encryption key; return how many were not yet.

    A key at a time, so that signing goes on beside it and a run that was cut short is simply run again.

    :raises sealing.UnableToOpenSeal: a key does not open with any key-encryption key of the ring.
    """
    rewrapped = 0
    waiting = models.SealedKey.objects.exclude(key_encryption_key_id=ring.current.id)
    for key_id in waiting.values_list("pk", flat=True).order_by("pk"):
        rewrapped += _rewrap(key_id=key_id, ring=ring)
    return rewrapped


@db.transaction
def _rewrap(*, key_id: int, ring: sealing.Ring) -> int:
    key = models.SealedKey.objects.select_for_update(no_key=True).get(pk=key_id)
    if key.key_encryption_key_id == ring.current.id:
        return 0
    key.seal_with(seal=ring.rewrap(seal=key.seal, binding=key.binding))
    return 1
