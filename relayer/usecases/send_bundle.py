"""From the queue to the chain: claim, check, sign, write down, and only then send."""

import datetime
import logging
import uuid
from collections.abc import Sequence

from django.conf import settings
from django.db.models import F, Q

from contracts.bindings import delegations, user_operations, words
from custody import operations as custody_operations
from custody.domain import transactions
from openvpp.core import db, errors, steps
from relayer import models
from relayer.adapters import chain, rpc, simulation
from relayer.domain import fees, refusals
from relayer.usecases import (
    change_state,
    check_authorization,
    count_reputation,
    hold_keys,
    offer_fees,
    recheck_code,
    recheck_data_fee,
    set_aside,
)

logger = logging.getLogger(__name__)

CLAIM = datetime.timedelta(seconds=12)
MAX_OPERATIONS = 100
MAX_OPEN_BUNDLES = 8
# How long an operation may wait for company: hardly at all for an idle key, longer the more bundles of it are open.
PATIENCE = datetime.timedelta(milliseconds=40)
PATIENCE_OF_OPEN = datetime.timedelta(milliseconds=120)
# What `handleOps` itself needs beside the operations' own limits, and the 64th that each call keeps back.
_BASE_GAS = 60_000
_GAS_PER_OPERATION = 40_000
_KEPT_BACK = 64
_SEQUENCE_BITS = 64  # of a nonce; those above name its sequence
_OURS = models.UserOperation.Validation.OURS


class UnableToSendBundle(errors.UnableTo):
    """The key went to another relay, or the operations did, while the bundle was made."""


@db.durable
def send_bundle(*, key: models.RelayerKey, holder: str, now: datetime.datetime) -> int:
    """Send what is due of the queue in one bundle; return how many operations were taken up.

    Refused operations are set aside with their reason and the others go on. A bundle is written down before it is
    sent: whenever this is cut short, either nothing was sent or `watch_bundles` sends it again.

    :raises errors.Unreachable: chain or signer do not answer; the claim lapses and the operations are taken up again.
    :raises UnableToSendBundle: another relay was faster.
    """
    if key.draining_since is not None or hold_keys.is_resting(key=key):
        return 0
    waiting = models.Bundle.objects.filter(relayer_key=key, state=models.Bundle.State.PENDING).count()
    if waiting >= MAX_OPEN_BUNDLES or not _is_due(chain_id=key.chain_id, open_bundles=waiting, now=now):
        return 0
    prices = offer_fees.offer_fees()
    if prices is None:
        return 0
    claim = f"{holder}:{uuid.uuid4().hex}"
    most_gas = int(key.key.policy["max_cost_wei"]) // prices.max_fee_per_gas_wei
    claimed = _claim(chain_id=key.chain_id, claim=claim, most_gas=most_gas - most_gas // _KEPT_BACK, now=now)
    if not claimed:
        return 0
    try:
        unexpired = _unexpired(claimed, now)
        changed = count_reputation.find_refused(operations=unexpired, chain_id=key.chain_id, now=now)
        changed += recheck_data_fee.find_uncovered(operations=_without(unexpired, changed))
        changed += recheck_code.find_refused(operations=_without(unexpired, changed))
        good, refused = _check(operations=_without(unexpired, changed), key=key)
        count_reputation.punish(refused=refused, chain_id=key.chain_id, now=now)
        for operation, refusal in [*_expired(claimed, now), *changed, *refused]:
            set_aside.set_aside(operation=operation, refusal=refusal, now=now)
        if good:
            _send(key=key, holder=holder, claim=claim, operations=good, prices=prices, now=now)
    finally:
        taken = models.UserOperation.objects.filter(hash__in=[row.hash for row in claimed], leased_by=claim)
        taken.update(leased_by="", leased_until=None)
    return len(claimed)


@db.durable
def broadcast(*, transaction: models.BundleTransaction, now: datetime.datetime) -> None:
    """Hand a written transaction to the node; what the node thinks of it is looked at later, on the chain.

    :raises errors.Unreachable: the node does not answer.
    """
    try:
        chain.send(raw=bytes(transaction.raw), age=now - transaction.bundle.created_at)
    except rpc.NodeRefused as refusal:
        logger.warning("node does not take %s: %s", transaction.hash, refusal.reason)
    else:
        steps.note("sent", bundle=transaction.bundle_id, transaction=transaction.hash)
    models.BundleTransaction.objects.filter(hash=transaction.hash).update(sent_at=now)


@db.durable
def sign(
    *,
    key: models.RelayerKey,
    nonce: int,
    call_data: bytes,
    gas_limit: int,
    prices: fees.GasPrices,
    authorizations: tuple[delegations.Authorization, ...] = (),
) -> tuple[str, bytes]:
    """Return hash and raw form of a signed `handleOps` transaction.

    :raises errors.Unreachable: the signer does not answer.
    :raises custody_operations.UnableToSign: it costs more than the key may spend, or the key is disabled.
    """
    entry_point = set_aside.entry_point(chain_id=key.chain_id)
    raw = custody_operations.sign_transaction(
        key_id=key.key_id,
        transaction=transactions.Transaction(
            chain_id=key.chain_id,
            nonce=nonce,
            max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
            max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
            gas_limit=gas_limit,
            to=entry_point,
            value_wei=0,
            data=call_data,
            authorizations=authorizations,
        ),
    )
    return "0x" + words.keccak(raw).hex(), raw


def _is_due(*, chain_id: int, open_bundles: int, now: datetime.datetime) -> bool:
    """Say whether a bundle would be full, or its oldest operation has waited long enough for company."""
    rows = models.UserOperation.objects.filter(chain_id=chain_id, state=models.UserOperation.State.QUEUED)
    waiting = rows.filter(_is_free(now)).order_by("created_at").values_list("created_at", flat=True)[:MAX_OPERATIONS]
    if not waiting:
        return False
    return len(waiting) == MAX_OPERATIONS or waiting[0] <= now - PATIENCE - open_bundles * PATIENCE_OF_OPEN


def _is_free(now: datetime.datetime) -> Q:
    return Q(leased_until__isnull=True) | Q(leased_until__lte=now)


@db.transaction
def _claim(*, chain_id: int, claim: str, most_gas: int, now: datetime.datetime) -> list[models.UserOperation]:
    """Lease what is due, the oldest first, at most one operation of each sender and none of a sender under way.

    Of an account of ours one of each sequence of nonces may go in a bundle, where all are validated before any acts: a
    payment, and the removal of its key. In a bundle of its own the removal might land first and undo the other's.
    What alone needs more than `most_gas`, which is all that the key may pay for now, waits for cheaper gas.
    """
    under_way = models.UserOperation.objects.filter(chain_id=chain_id, state=models.UserOperation.State.BUNDLED)
    rows = (
        models.UserOperation.objects.filter(chain_id=chain_id, state=models.UserOperation.State.QUEUED)
        .filter(_is_free(now))
        .exclude(sender__in=under_way.values("sender"))
        .order_by("created_at", "nonce")
        .select_for_update(skip_locked=True)[: 2 * MAX_OPERATIONS]
    )
    taken: dict[tuple[str, int], models.UserOperation] = {}
    gas = _BASE_GAS
    for row in rows:
        with_it = gas + _gas_of(row)
        is_full = bool(taken) and with_it > settings.CHAIN_BUNDLE_GAS_LIMIT
        place = (str(row.sender), int(row.nonce) >> _SEQUENCE_BITS if row.validation == _OURS else 0)
        if place in taken or is_full or with_it > most_gas:
            continue
        gas = with_it
        taken[place] = row
        if len(taken) == MAX_OPERATIONS:
            break
    for row in taken.values():
        row.leased_by, row.leased_until, row.attempts = claim, now + CLAIM, row.attempts + 1
    models.UserOperation.objects.filter(hash__in=[row.hash for row in taken.values()]).update(
        leased_by=claim, leased_until=now + CLAIM, attempts=F("attempts") + 1
    )
    return list(taken.values())


def _expired(
    claimed: Sequence[models.UserOperation], now: datetime.datetime
) -> list[tuple[models.UserOperation, refusals.Refusal]]:
    refusal = refusals.Refusal(index=None, meaning=refusals.Meaning.WINDOW, reason=set_aside.EXPIRED)
    return [(row, refusal) for row in claimed if row.expires_at <= now]


def _unexpired(claimed: Sequence[models.UserOperation], now: datetime.datetime) -> list[models.UserOperation]:
    return [row for row in claimed if row.expires_at > now]


def _without(
    rows: Sequence[models.UserOperation], refused: Sequence[tuple[models.UserOperation, refusals.Refusal]]
) -> list[models.UserOperation]:
    gone = {str(row.hash) for row, _ in refused}
    return [row for row in rows if str(row.hash) not in gone]


def _check(
    *, operations: list[models.UserOperation], key: models.RelayerKey
) -> tuple[list[models.UserOperation], list[tuple[models.UserOperation, refusals.Refusal]]]:
    """Simulate the bundle, and without what is refused again, until the rest passes together."""
    good = list(operations)
    refused: list[tuple[models.UserOperation, refusals.Refusal]] = []
    beneficiary = words.parse_address(str(key.address))
    entry_point = set_aside.entry_point(chain_id=key.chain_id)
    delegated = check_authorization.delegated(check_authorization.find_due_of(operations=good).values())
    while good:
        try:
            chain.call(
                to=entry_point,
                data=_encode(good, beneficiary),
                sender=beneficiary,
                gas=_gas_limit(good),
                delegated=delegated,
            )
        except rpc.NodeRefused as node_refusal:
            refusal = refusals.read(node_refusal.data)
        else:
            return good, refused
        if refusal.index is not None and refusal.index < len(good):
            refused.append((good.pop(refusal.index), refusal))
            continue
        return _check_singly(
            operations=good, refused=refused, entry_point=entry_point, beneficiary=beneficiary, delegated=delegated
        )
    return good, refused


def _check_singly(
    *,
    operations: list[models.UserOperation],
    refused: list[tuple[models.UserOperation, refusals.Refusal]],
    entry_point: bytes,
    beneficiary: bytes,
    delegated: simulation.Delegations,
) -> tuple[list[models.UserOperation], list[tuple[models.UserOperation, refusals.Refusal]]]:
    """Find out which operations pass alone, when the node does not say what is wrong; send the first of those."""
    answers = chain.try_calls(
        to=entry_point,
        datas=[_encode([row], beneficiary) for row in operations],
        sender=beneficiary,
        gas=_gas_limit(operations),
        delegated=delegated,
    )
    good = [row for row, answer in zip(operations, answers, strict=True) if answer is None]
    more = [
        (row, refusals.read(answer.data)) for row, answer in zip(operations, answers, strict=True) if answer is not None
    ]
    return good[:1], [*refused, *more]


def _send(
    *,
    key: models.RelayerKey,
    holder: str,
    claim: str,
    operations: list[models.UserOperation],
    prices: fees.GasPrices,
    now: datetime.datetime,
) -> None:
    call_data = _encode(operations, words.parse_address(str(key.address)))
    gas_limit = _gas_limit(operations)
    nonce = hold_keys.take_nonce(key=key, cost_wei=gas_limit * prices.max_fee_per_gas_wei)
    authorizations = tuple(check_authorization.find_due_of(operations=operations).values())
    try:
        hash_, raw = sign(
            key=key, nonce=nonce, call_data=call_data, gas_limit=gas_limit, prices=prices, authorizations=authorizations
        )
    except custody_operations.UnableToSign:
        hold_keys.rest(key=key)
        raise
    with db.transaction():
        bundle = models.Bundle(
            chain_id=key.chain_id,
            relayer_key=key,
            nonce=nonce,
            call_data=call_data,
            delegations=b"".join(each.pack() for each in authorizations) or None,
            gas_limit=gas_limit,
            created_at=now,
        )
        _write(bundle=bundle, holder=holder, claim=claim, operations=operations, now=now)
        transaction = models.BundleTransaction.objects.create(
            hash=hash_,
            bundle=bundle,
            raw=raw,
            max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
            max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
            created_at=now,
        )
    broadcast(transaction=transaction, now=now)


@db.transaction_required
def _write(
    *,
    bundle: models.Bundle,
    holder: str,
    claim: str,
    operations: Sequence[models.UserOperation],
    now: datetime.datetime,
) -> None:
    key = bundle.relayer_key
    if key is None or not hold_keys.still_holds(key=key, holder=holder):
        raise UnableToSendBundle("Another relay holds the key now.", code="key_lost")
    if models.RelayerKey.objects.filter(pk=key.pk, draining_since__isnull=False).exists():
        raise UnableToSendBundle("The key drains.", code="key_drains")
    taken = models.Bundle.objects.filter(
        relayer_key=key, nonce=bundle.nonce, state__in=[models.Bundle.State.PENDING, models.Bundle.State.MINED]
    )
    if taken.exists():
        raise UnableToSendBundle("The nonce is another bundle's now.", code="nonce_taken")
    rows = models.UserOperation.objects.select_for_update().filter(
        hash__in=[row.hash for row in operations], state=models.UserOperation.State.QUEUED, leased_by=claim
    )
    found = {str(row.hash): row for row in rows}
    if len(found) != len(operations):
        raise UnableToSendBundle("Another relay holds the operations now.", code="operations_lost")
    bundle.save()
    change_state.move(
        operations=list(found.values()), state=models.UserOperation.State.BUNDLED, bundle=bundle, detail="", now=now
    )


def _encode(operations: Sequence[models.UserOperation], beneficiary: bytes) -> bytes:
    return user_operations.encode_handle_ops(
        operations=[row.to_binding() for row in operations], beneficiary=beneficiary
    )


def _gas_of(row: models.UserOperation) -> int:
    paymaster_gas = bytes(row.paymaster_and_data)[20:52]
    return (
        row.verification_gas_limit
        + row.call_gas_limit
        + row.pre_verification_gas
        + int.from_bytes(paymaster_gas[:16], "big")
        + int.from_bytes(paymaster_gas[16:], "big")
        + _GAS_PER_OPERATION
    )


def _gas_limit(operations: Sequence[models.UserOperation]) -> int:
    gas = _BASE_GAS + sum(_gas_of(row) for row in operations)
    return gas + gas // (_KEPT_BACK - 1)
