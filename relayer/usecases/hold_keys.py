"""Relayer keys: each is leased to one relay, which alone signs and sends with it.

A relay that was killed leaves its keys at once: it holds an advisory lock that the database drops with its connection.
The lease itself is what counts when a connection outlives its relay.
"""

import datetime
import time
import zlib
from collections.abc import Collection

from django.db import connection
from django.db.models import Max

from openvpp.core import db, errors
from relayer import models
from relayer.adapters import chain

LEASE = datetime.timedelta(seconds=10)
_OPEN = (models.Bundle.State.PENDING, models.Bundle.State.MINED)
_LOCK_CLASS = 4337
REST_SECONDS = 3.0
_resting: dict[int, float] = {}


@db.transaction
def hold_keys(*, chain_id: int, holder: str, now: datetime.datetime) -> list[models.RelayerKey]:
    """Return the keys that `holder` may use for the next LEASE: its own, renewed, and those that nobody holds.

    What a relay that is gone had claimed is free with its keys.
    """
    _show_alive(holder)
    rows = models.RelayerKey.objects.filter(chain_id=chain_id, is_enabled=True).order_by("pk")
    known = list(rows.select_related("key").select_for_update(skip_locked=True, of=("self",)))
    gone = _gone({key.leased_by for key in known} - {"", holder})
    for each in gone:
        models.UserOperation.objects.filter(
            chain_id=chain_id, state=models.UserOperation.State.QUEUED, leased_by__startswith=f"{each}:"
        ).update(leased_by="", leased_until=None)
    keys = [
        key
        for key in known
        if key.leased_by in {"", holder, *gone} or key.leased_until is None or key.leased_until < now
    ]
    for key in keys:
        if key.leased_by == holder and key.leased_until is not None and key.leased_until > now + LEASE / 2:
            continue
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


class UnableToUseKey(errors.UnableTo):
    """The key has too little coin; it rests, and others go on."""


@db.durable
def take_nonce(*, key: models.RelayerKey, cost_wei: int) -> int:
    """Return the nonce after every open bundle and every transaction in a block, if the key can pay `cost_wei` more.

    The chain is asked each time: a counter of our own would drift when somebody else uses the key.

    :raises UnableToUseKey: `key_empty`; the key rests.
    :raises errors.Unreachable: the chain does not answer.
    """
    (account,) = chain.accounts(addresses=[str(key.address)])
    open_ = models.Bundle.objects.filter(relayer_key=key, state__in=_OPEN).aggregate(newest=Max("nonce"))
    if account.balance_wei < cost_wei:
        rest(key=key)
        raise UnableToUseKey(f"It has {account.balance_wei} wei, a bundle may cost {cost_wei}.", code="key_empty")
    newest = open_["newest"]
    return account.nonce if newest is None else max(account.nonce, newest + 1)


def rest(*, key: models.RelayerKey) -> None:
    """Leave new work to other keys for REST_SECONDS, in this process."""
    _resting[key.pk] = time.monotonic() + REST_SECONDS


def is_resting(*, key: models.RelayerKey) -> bool:
    """Say whether the key leaves new work to others."""
    return _resting.get(key.pk, 0.0) > time.monotonic()


def _show_alive(holder: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_lock(%s, %s) WHERE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' "
            "AND pid = pg_backend_pid() AND classid = %s AND objid = %s)",
            [_LOCK_CLASS, _signed(_number(holder)), _LOCK_CLASS, _number(holder)],
        )


def _gone(holders: Collection[str]) -> set[str]:
    """Return which of the relays have no connection to the database any more."""
    if not holders:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [_LOCK_CLASS],
        )
        alive = {int(row[0]) for row in cursor.fetchall()}
    return {holder for holder in holders if _number(holder) not in alive}


def _number(holder: str) -> int:
    return zlib.crc32(holder.encode())


def _signed(number: int) -> int:
    """Return the 32 bits as PostgreSQL's `integer`."""
    return number - (1 << 32) if number >> 31 else number
