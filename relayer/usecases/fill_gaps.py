"""No nonce of ours stays open: one that nothing of ours holds is used for nothing, and so is a bundle without members.

Nodes execute a key's transactions in the order of their nonces, so that one missing nonce holds up all after it: when a
reorganisation takes back somebody else's transaction under one of our keys, or when staff repaired something by hand.
What is sent in its place is an empty `handleOps`, the only kind of call that these keys sign.
"""

import datetime
import logging
from collections.abc import Sequence

from django.db.models import Exists, OuterRef

from contracts.bindings import user_operations, words
from custody import operations as custody_operations
from openvpp.core import db
from relayer import models
from relayer.adapters import chain
from relayer.usecases import hold_keys, offer_fees, send_bundle

logger = logging.getLogger(__name__)

# A bundle that waits for so long is looked at: what is under way normally is not.
LOOK_AFTER = datetime.timedelta(seconds=6)
_GAS = 80_000
_State = models.Bundle.State


@db.durable
def fill_gaps(*, keys: Sequence[models.RelayerKey], holder: str, now: datetime.datetime) -> int:
    """Send what is missing before the oldest waiting bundle of each key, and end bundles without members; count both.

    Asks the node only where a bundle has waited for LOOK_AFTER.

    :raises errors.Unreachable: chain or signer do not answer.
    """
    waiting = models.Bundle.objects.filter(relayer_key__in=keys, state=_State.PENDING, created_at__lte=now - LOOK_AFTER)
    stuck = [key for key in keys if waiting.filter(relayer_key=key).exists()]
    if not stuck:
        return 0
    nonces = chain.account_nonces(addresses=[str(key.address) for key in stuck])
    done = 0
    for key, on_chain in zip(stuck, nonces, strict=True):
        for nonce in _missing(key=key, on_chain=on_chain):
            done += _fill(key=key, nonce=nonce, holder=holder, now=now)
        for bundle in _without_members(key=key, since=now - LOOK_AFTER):
            done += give_up(bundle=bundle, key=key, holder=holder, now=now)
    return done


@db.durable
def give_up(*, bundle: models.Bundle, key: models.RelayerKey, holder: str, now: datetime.datetime) -> bool:
    """Replace a bundle that would do nothing good by a call of nothing under its nonce; say whether that was sent.

    Its operations, if it has any, stay its members until one of the two has landed: only then is it known that they
    may go into another bundle.

    :raises errors.Unreachable: chain or signer do not answer.
    """
    newest = bundle.transactions.order_by("created_at").last()
    if newest is None or bundle.nonce is None:
        return False
    prices = offer_fees.offer_for_replacement(
        old_max_fee_wei=int(newest.max_fee_per_gas_wei),
        old_tip_wei=int(newest.max_priority_fee_per_gas_wei),
        most_times=None,  # a call of nothing is cheap, and may outbid what was offered when gas was dear
    )
    if prices is None:
        return False
    call_data = call_of_nothing(key=key)
    try:
        hash_, raw = send_bundle.sign(key=key, nonce=bundle.nonce, call_data=call_data, gas_limit=_GAS, prices=prices)
    except custody_operations.UnableToSign as error:
        logger.error("bundle %s cannot be cancelled: %s", bundle.pk, error.detail)  # noqa: TRY400 - no trace needed
        return False
    with db.transaction():
        locked = models.Bundle.objects.select_for_update().get(pk=bundle.pk)
        if not hold_keys.still_holds(key=key, holder=holder) or locked.state != _State.PENDING:
            return False
        locked.call_data, locked.gas_limit, locked.delegations = call_data, _GAS, None
        locked.save(update_fields=["call_data", "gas_limit", "delegations"])
        transaction = models.BundleTransaction.objects.create(
            hash=hash_,
            bundle=locked,
            raw=raw,
            max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
            max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
            created_at=now,
        )
    logger.warning("bundle %s is given up; its nonce %s is used for nothing", bundle.pk, bundle.nonce)
    send_bundle.broadcast(transaction=transaction, now=now)
    return True


def call_of_nothing(*, key: models.RelayerKey) -> bytes:
    """Return the calldata of a `handleOps` without operations."""
    return user_operations.encode_handle_ops(operations=[], beneficiary=words.parse_address(str(key.address)))


def _missing(*, key: models.RelayerKey, on_chain: int) -> list[int]:
    open_ = models.Bundle.objects.filter(relayer_key=key, state__in=[_State.PENDING, _State.MINED])
    taken = {nonce for nonce in open_.values_list("nonce", flat=True) if nonce is not None and nonce >= on_chain}
    return [nonce for nonce in range(on_chain, max(taken, default=on_chain)) if nonce not in taken]


def _without_members(*, key: models.RelayerKey, since: datetime.datetime) -> list[models.Bundle]:
    members = models.UserOperation.objects.filter(bundle=OuterRef("pk"))
    bundles = models.Bundle.objects.filter(
        ~Exists(members), relayer_key=key, state=_State.PENDING, created_at__lte=since
    )
    return list(bundles.exclude(call_data=call_of_nothing(key=key)).order_by("nonce"))


def _fill(*, key: models.RelayerKey, nonce: int, holder: str, now: datetime.datetime) -> bool:
    prices = offer_fees.offer_fees()
    if prices is None:
        return False
    logger.error("nonce %s of %s is open before a bundle that waits; it is used for nothing", nonce, key.address)
    call_data = call_of_nothing(key=key)
    hash_, raw = send_bundle.sign(key=key, nonce=nonce, call_data=call_data, gas_limit=_GAS, prices=prices)
    with db.transaction():
        if not hold_keys.still_holds(key=key, holder=holder):
            return False
        bundle = models.Bundle.objects.create(
            chain_id=key.chain_id,
            relayer_key=key,
            nonce=nonce,
            call_data=call_data,
            gas_limit=_GAS,
            created_at=now,
        )
        transaction = models.BundleTransaction.objects.create(
            hash=hash_,
            bundle=bundle,
            raw=raw,
            max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
            max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
            created_at=now,
        )
    send_bundle.broadcast(transaction=transaction, now=now)
    return True
