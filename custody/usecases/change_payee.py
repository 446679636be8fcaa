"""A utility's treasury moved: the owner keys of its customers' wallets let sessions in that pay the new one."""

from typing import Any

from contracts.bindings import words
from custody import models
from custody.domain import policies, sealing
from openvpp.core import db


@db.durable
def change_payee(*, before: bytes, after: bytes, ring: sealing.Ring) -> int:
    """Seal every wallet owner's key that is for the payee `before` (an address) for `after`; return how many.

    The payee is part of what is sealed, so only who holds the key-encryption key can change it. A key at a time: a run
    that was cut short is simply run again.

    :raises sealing.UnableToOpenSeal: a key does not open with any key-encryption key of the ring.
    """
    owners = models.SealedKey.objects.filter(
        purpose=models.SealedKey.Purpose.WALLET_OWNER, policy__payee="0x" + before.hex()
    )
    policy = {"payee": "0x" + words.exactly(after, words.ADDRESS_BYTES, "an address").hex()}
    return sum(_seal(key_id=key_id, policy=policy, ring=ring) for key_id in owners.values_list("pk", flat=True))


@db.transaction
def _seal(*, key_id: int, policy: dict[str, Any], ring: sealing.Ring) -> int:
    key = models.SealedKey.objects.select_for_update(no_key=True).get(pk=key_id)
    seal, before = key.seal, key.binding
    key.policy = policies.parse(purpose=key.purpose, value=key.policy | policy).to_json()
    key.seal_with(seal=ring.reseal(seal=seal, binding=before, to=key.binding))
    return 1
