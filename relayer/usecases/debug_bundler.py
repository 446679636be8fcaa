"""What ERC-7769 lets tests of a bundler do to it (`debug_bundler_*`); never where money is.

In manual mode no relay may use a key, so that a bundle goes out when it is asked for and only then.
"""

import datetime
from collections.abc import Iterable

from openvpp.core import db
from relayer import models
from relayer.usecases import change_state, send_bundle

HOLDER = "debug_bundler"
_FOR = datetime.timedelta(minutes=1)
_Row = models.UserOperation


@db.transaction
def clear_pool(*, utility_id: int, chain_id: int, now: datetime.datetime) -> None:
    """Fail whatever waits of a utility's and was never sent."""
    rows = _Row.objects.of_utility(utility_id).filter(
        chain_id=chain_id, state=_Row.State.QUEUED, broadcast_at__isnull=True, api_key__isnull=False
    )
    for row in rows.select_for_update():
        change_state.fail(operation=row, reason="Cleared by debug_bundler_clearState.", now=now)


@db.transaction
def clear_reputation(*, chain_id: int) -> None:
    """Forget every entity."""
    models.Reputation.objects.filter(chain_id=chain_id).delete()


@db.durable
def read_pool(*, utility_id: int, chain_id: int) -> list[models.UserOperation]:
    """Return what waits of a utility's, the oldest first."""
    rows = _Row.objects.of_utility(utility_id).filter(chain_id=chain_id, state=_Row.State.QUEUED)
    return list(rows.order_by("created_at", "nonce"))


@db.transaction
def set_mode(*, chain_id: int, is_manual: bool) -> None:
    """Keep the keys from every relay, or give them back."""
    models.RelayerKey.objects.filter(chain_id=chain_id).update(
        is_enabled=not is_manual, leased_by="", leased_until=None
    )


@db.durable
def send_now(*, chain_id: int, now: datetime.datetime) -> str | None:
    """Send what is due with the first key and return the transaction's hash, None if nothing is.

    In automatic mode nothing is due here: the relays hold the keys.

    :raises errors.Unreachable: chain or signer do not answer.
    """
    key = models.RelayerKey.objects.filter(chain_id=chain_id, is_enabled=False).order_by("pk").first()
    if key is None:
        return None
    # As if what waits had waited long enough for company.
    now += send_bundle.PATIENCE + send_bundle.MAX_OPEN_BUNDLES * send_bundle.PATIENCE_OF_OPEN
    models.RelayerKey.objects.filter(pk=key.pk).update(leased_by=HOLDER, leased_until=now + _FOR)
    try:
        send_bundle.send_bundle(key=key, holder=HOLDER, now=now)
    finally:
        models.RelayerKey.objects.filter(pk=key.pk, leased_by=HOLDER).update(leased_by="", leased_until=None)
    sent = models.BundleTransaction.objects.filter(bundle__relayer_key=key, created_at=now).order_by("-pk").first()
    return None if sent is None else str(sent.hash)


@db.transaction
def set_reputation(*, chain_id: int, counts: Iterable[tuple[str, int, int]], now: datetime.datetime) -> None:
    """Write how often entities were seen, and how often included."""
    for entity, seen, included in counts:
        models.Reputation.objects.update_or_create(
            chain_id=chain_id, entity=entity, defaults={"seen": seen, "included": included, "counted_at": now}
        )


@db.durable
def read_reputation(*, chain_id: int) -> list[models.Reputation]:
    """Return what is known of each entity."""
    return list(models.Reputation.objects.filter(chain_id=chain_id).order_by("entity"))
