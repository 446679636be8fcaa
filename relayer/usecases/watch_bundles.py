"""From broadcast to finality: receipts, confirmations, reorganisations, replacement of what is stuck."""

import dataclasses
import datetime
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django import db as django_db
from django.conf import settings
from django.db import models as db_models

from contracts.bindings import delegations, words
from custody import operations as custody_operations
from openvpp.core import db, errors
from relayer import models
from relayer.adapters import chain, rpc
from relayer.domain import fees, receipts, refusals
from relayer.usecases import agree_receipt, fill_gaps, hold_keys, offer_fees, record_block, send_bundle, set_aside

logger = logging.getLogger(__name__)

RESEND_AFTER = datetime.timedelta(seconds=3)
# A replacement never offers more than this many times what the chain asks for now: a node that makes no blocks is not
# cured by money.
_MOST_TIMES_THE_PRICE = 10
_OPEN = (models.Bundle.State.PENDING, models.Bundle.State.MINED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What the chain said of the open bundles, read in one go.

    Nonces were read before receipts, so that a bundle that landed in between is not taken for lost.
    """

    head: chain.Head
    nonces: Mapping[int, int]
    receipts: Mapping[str, Mapping[str, Any] | None]
    hashes: Mapping[int, str | None]


@db.durable
def watch_bundles(*, chain_id: int, holder: str, now: datetime.datetime) -> None:
    """Move every open bundle as far as the chain allows.

    Reading and writing down may be done by several relays at once; only the holder of a key signs and sends with it.

    :raises errors.Unreachable: the chain does not answer; nothing is lost, the next look finds the same.
    """
    bundles = list(
        models.Bundle.objects.filter(chain_id=chain_id, state__in=_OPEN)
        .select_related("relayer_key")
        .defer("call_data")
        .prefetch_related(db_models.Prefetch("transactions", models.BundleTransaction.objects.defer("raw")))
        .order_by("relayer_key_id", "nonce")
    )
    if not bundles:
        return
    view = _look(bundles)
    for bundle in bundles:
        try:
            if bundle.state == models.Bundle.State.PENDING:
                _watch_pending(bundle=bundle, view=view, holder=holder, now=now)
            else:
                _watch_mined(bundle=bundle, view=view, now=now)
        except (errors.Unreachable, django_db.OperationalError):
            raise
        except Exception:
            logger.exception("bundle %s could not be followed; the others go on", bundle.pk)


def _look(bundles: Sequence[models.Bundle]) -> _View:
    pending = [bundle for bundle in bundles if bundle.state == models.Bundle.State.PENDING]
    keys = {bundle.relayer_key_id: bundle.relayer_key for bundle in pending if bundle.relayer_key is not None}
    head = chain.head()
    nonces = chain.account_nonces(addresses=[str(key.address) for key in keys.values()])
    numbers = sorted({b.block_number for b in bundles if b.state == models.Bundle.State.MINED and b.block_number})
    hashes = dict(zip(numbers, chain.block_hashes(numbers=numbers), strict=True))
    wanted = [each for bundle in bundles if _needs_receipts(bundle, hashes, head) for each in _hashes(bundle)]
    return _View(
        head=head,
        nonces={key.pk: nonce for key, nonce in zip(keys.values(), nonces, strict=True)},
        receipts=dict(zip(wanted, chain.receipts(hashes=wanted), strict=True)),
        hashes=hashes,
    )


def _needs_receipts(bundle: models.Bundle, hashes: Mapping[int, str | None], head: chain.Head) -> bool:
    if bundle.state == models.Bundle.State.PENDING:
        return True
    number = bundle.block_number or 0
    return hashes[number] != bundle.block_hash and not _is_behind(number, hashes, head)


def _is_behind(number: int, hashes: Mapping[int, str | None], head: chain.Head) -> bool:
    """Say whether the node may not have the block yet; one that is far beyond it and lacks it has another chain."""
    return hashes[number] is None and head.number < number + settings.CHAIN_CONFIRMATIONS


def _hashes(bundle: models.Bundle) -> set[str]:
    own = {str(transaction.hash) for transaction in bundle.transactions.all()}
    return own | ({str(bundle.transaction_hash)} if bundle.transaction_hash else set())


def _landed(bundle: models.Bundle, view: _View) -> receipts.BundleReceipt | None:
    found = [view.receipts[each] for each in _hashes(bundle) if view.receipts[each] is not None]
    if not found or found[0] is None:
        return None
    return receipts.read(receipt=found[0], entry_point=set_aside.entry_point(chain_id=bundle.chain_id))


def _watch_mined(*, bundle: models.Bundle, view: _View, now: datetime.datetime) -> None:
    number = bundle.block_number or 0
    if _is_behind(number, view.hashes, view.head):
        logger.warning("the node is behind block %s of bundle %s", number, bundle.pk)
    elif view.hashes[number] != bundle.block_hash:
        landed = _landed(bundle, view)
        if landed is None:
            logger.warning("bundle %s left the chain with block %s", bundle.pk, number)
            record_block.record_gone(bundle_id=bundle.pk, now=now)
        else:
            record_block.record_mined(bundle_id=bundle.pk, receipt=landed, now=now)
    elif view.head.number >= number + settings.CHAIN_CONFIRMATIONS:
        _settle(bundle=bundle, now=now)


def _settle(*, bundle: models.Bundle, now: datetime.datetime) -> None:
    try:
        agreed = agree_receipt.find_agreed(bundle=bundle)
    except (agree_receipt.UnableToAgree, rpc.NoQuorum) as error:
        logger.warning("bundle %s is not final yet: %s", bundle.pk, error)
        return
    record_block.settle(bundle_id=bundle.pk, agreed=agreed, now=now)


def _watch_pending(*, bundle: models.Bundle, view: _View, holder: str, now: datetime.datetime) -> None:
    landed = _landed(bundle, view)
    if landed is not None:
        record_block.record_mined(bundle_id=bundle.pk, receipt=landed, now=now)
        return
    key, nonce = bundle.relayer_key, bundle.nonce
    if key is None or nonce is None:
        return
    if view.nonces[key.pk] > nonce:
        _watch_passed(bundle=bundle, head=view.head, now=now)
        return
    _close_expired(bundle=bundle, now=now)
    if bundle.nonce_passed_at_block is not None:
        models.Bundle.objects.filter(pk=bundle.pk).update(nonce_passed_at_block=None)
    if key.leased_by == holder:
        _push(bundle=bundle, key=key, is_next=view.nonces[key.pk] == nonce, holder=holder, now=now)


def _close_expired(*, bundle: models.Bundle, now: datetime.datetime) -> None:
    """Let nobody wait for an operation that no block will take any more, however long its bundle waits."""
    expired = bundle.user_operations.filter(state=models.UserOperation.State.BUNDLED, expires_at__lt=now)
    for operation in expired.exclude(leased_until__gt=now):
        if not set_aside.close(operation=operation, reason=set_aside.EXPIRED, now=now):
            models.UserOperation.objects.filter(hash=operation.hash).update(leased_until=now + RESEND_AFTER)


def _watch_passed(*, bundle: models.Bundle, head: chain.Head, now: datetime.datetime) -> None:
    """The nonce is used and none of our transactions is found: look again until that is final, then give up.

    The operations are never sent under another nonce before: until then the old transaction could still land.
    """
    if bundle.nonce_passed_at_block is None:
        models.Bundle.objects.filter(pk=bundle.pk).update(nonce_passed_at_block=head.number)
    elif head.number >= bundle.nonce_passed_at_block + settings.CHAIN_CONFIRMATIONS and chain.have_none(
        hashes=sorted(_hashes(bundle))
    ):
        record_block.record_lost(bundle_id=bundle.pk, now=now)


def _push(*, bundle: models.Bundle, key: models.RelayerKey, is_next: bool, holder: str, now: datetime.datetime) -> None:
    """Send again what the node may have forgotten; replace what waits too long with dearer fees."""
    newest = list(bundle.transactions.all())[-1]
    if is_next and newest.created_at + settings.CHAIN_REPLACE_AFTER <= now:
        if _would_revert(bundle=bundle, key=key):
            replaced = fill_gaps.give_up(bundle=bundle, key=key, holder=holder, now=now)
        else:
            replaced = _replace(bundle=bundle, key=key, old=newest, holder=holder, now=now)
        if replaced:
            return
    if newest.sent_at is None or newest.sent_at + RESEND_AFTER <= now:
        send_bundle.broadcast(transaction=newest, now=now)


def _would_revert(*, bundle: models.Bundle, key: models.RelayerKey) -> bool:
    """Say whether the EntryPoint refuses the bundle as things are: nobody shall pay more for that."""
    if bundle.delegations:
        return False  # not told by a plain call: the code that they give is not there yet
    try:
        chain.call(
            to=set_aside.entry_point(chain_id=bundle.chain_id),
            data=bytes(bundle.call_data),
            sender=words.parse_address(str(key.address)),
            gas=bundle.gas_limit,
        )
    except rpc.NodeRefused as refusal:
        return refusals.read(refusal.data).index is not None
    return False


def _replace(
    *,
    bundle: models.Bundle,
    key: models.RelayerKey,
    old: models.BundleTransaction,
    holder: str,
    now: datetime.datetime,
) -> bool:
    """Sign the same bundle under the same nonce with both fees at least an eighth higher; say whether it was sent."""
    prices = offer_fees.offer_for_replacement(
        old_max_fee_wei=int(old.max_fee_per_gas_wei),
        old_tip_wei=int(old.max_priority_fee_per_gas_wei),
        most_times=_MOST_TIMES_THE_PRICE,
    )
    if prices is None or bundle.nonce is None:
        return False
    try:
        hash_, raw = send_bundle.sign(
            key=key,
            nonce=bundle.nonce,
            call_data=bytes(bundle.call_data),
            gas_limit=bundle.gas_limit,
            prices=prices,
            authorizations=delegations.unpack_all(bytes(bundle.delegations or b"")),
        )
    except custody_operations.UnableToSign as error:
        logger.error("bundle %s cannot be replaced: %s", bundle.pk, error.detail)  # noqa: TRY400 - no trace needed
        return False
    transaction = _write_replacement(
        bundle=bundle, key=key, hash_=hash_, raw=raw, prices=prices, holder=holder, now=now
    )
    if transaction is None:
        return False
    send_bundle.broadcast(transaction=transaction, now=now)
    return True


@db.transaction
def _write_replacement(
    *,
    bundle: models.Bundle,
    key: models.RelayerKey,
    hash_: str,
    raw: bytes,
    prices: fees.GasPrices,
    holder: str,
    now: datetime.datetime,
) -> models.BundleTransaction | None:
    if not hold_keys.still_holds(key=key, holder=holder):
        return None
    if models.Bundle.objects.select_for_update().get(pk=bundle.pk).state != models.Bundle.State.PENDING:
        return None
    return models.BundleTransaction.objects.create(
        hash=hash_,
        bundle=bundle,
        raw=raw,
        max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
        max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
        created_at=now,
    )
