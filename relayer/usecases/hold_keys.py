"""Relayer keys: each is leased to one relay, which alone signs and sends with it."""

import datetime

from django.db.models import Max, Q

from openvpp.core import db
from relayer import models
from relayer.adapters import chain

LEASE = datetime.timedelta(seconds=10)
_OPEN = (models.Bundle.State.PENDING, models.Bundle.State.MINED)


@db.transaction
def hold_keys(*, chain_id: int, holder: str, now: datetime.datetime) -> list[models.RelayerKey]:
    """Return the keys that `holder` may use for the next LEASE: its own, renewed, and those that nobody holds."""
    free = Q(leased_by=holder) | Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    keys = list(
        models.RelayerKey.objects.filter(free, chain_id=chain_id, is_enabled=True)
        .select_for_update(skip_locked=True)
        .order_by("pk")
    )
    for key in keys:
        key.leased_by, key.leased_until = holder, now + LEASE
        key.save(update_fields=["leased_by", "leased_until"])
    return keys


@db.transaction
def release_keys(*, holder: str) -> None:
    """Leave the keys to others at once, when a relay ends in order."""
    models.RelayerKey.objects.filter(leased_by=holder).update(leased_by="", leased_until=None)


@db.transaction_required
def still_holds(*, key: models.RelayerKey, holder: str) -> bool:
    """Lock the key's row and say whether nobody took it over."""
    return models.RelayerKey.objects.select_for_update().get(pk=key.pk).leased_by == holder


@db.durable
def next_nonce(*, key: models.RelayerKey) -> int:
    """Return the nonce after every open bundle and every transaction in a block.

    The chain is asked each time: a counter of our own would drift when somebody else uses the key.

    :raises errors.Unreachable: the chain does not answer.
    """
    (on_chain,) = chain.account_nonces(addresses=[str(key.address)])
    newest = models.Bundle.objects.filter(relayer_key=key, state__in=_OPEN).aggregate(newest=Max("nonce"))["newest"]
    return on_chain if newest is None else max(on_chain, newest + 1)
