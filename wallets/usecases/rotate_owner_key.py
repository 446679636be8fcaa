"""Another sealed key becomes the owner of a customer's account, as two people decided; its sessions stay.

`announce` has the next key made and announces it on the chain; 48 hours later `carry_out` makes it the owner. The
change is signed by the key that goes, which is disabled in the transaction that sees the chain do it; `renew_leaves`
then has the next key sign for the sessions that were agreed to and not yet installed.
"""

import datetime
import logging
import secrets

from contracts.bindings import control, events, words
from custody import models as custody_models
from custody import operations as custody
from openvpp.core import db, errors, jobs
from wallets import models, operations
from wallets.adapters import chain
from wallets.domain import outcome as outcomes
from wallets.usecases import tell_control

logger = logging.getLogger(__name__)

State = models.OwnerRotation.State
Kind = models.Operation.Kind
DELAY = datetime.timedelta(seconds=control.CUSTODIAN_DELAY_SECONDS)
RETRY_AFTER = datetime.timedelta(seconds=30)
_CHANGE_SCHEDULED = "0x" + events.topic_of("ChangeScheduled(bytes32,bytes,uint256)").hex()


@db.durable
def announce(*, change_id: str, now: datetime.datetime) -> None:
    """Have the next key made and announced; safe to run twice.

    :raises errors.Unreachable: node or signer did not answer.
    """
    row = _get(change_id)
    if row.state != State.DECIDED:
        return
    new_key = custody.create_key(
        purpose=custody_models.SealedKey.Purpose.WALLET_OWNER,
        subject=f"wallet:customer:{row.wallet.customer_id}:{change_id}",
        policy={"follows": row.wallet.owner_key.subject},
    )
    with db.transaction():
        row = _lock(change_id)
        if row.state != State.DECIDED or _live(row=row, kind=Kind.ANNOUNCE_OWNER):
            return
        row.new_key = new_key
        row.save(update_fields=["new_key"])
        operation = _reserve(row=row, kind=Kind.ANNOUNCE_OWNER, now=now)
    _submit(operation, now=now)


@db.durable
def carry_out(*, change_id: str, now: datetime.datetime) -> None:
    """Make the announced key the owner; safe to run twice.

    :raises errors.Unreachable: node, signer or price source did not answer.
    """
    row = _get(change_id)
    state = chain.read_control(account=row.wallet.address, chain_id=row.wallet.chain_id)
    with db.transaction():
        row = _lock(change_id)
        if row.state != State.ANNOUNCED or row.new_key is None or _live(row=row, kind=Kind.CHANGE_OWNER):
            return
        if row.wallet.left_custody_at is not None or state is None or state.is_self_custodied:
            _close(row=row, failure="The customer owns the wallet.", now=now)
            return
        if words.checksummed(state.owner) == row.new_key.address:
            _complete(row=row, now=now)
            return
        operation = _reserve(row=row, kind=Kind.CHANGE_OWNER, now=now)
    _submit(operation, now=now)


@db.durable
def renew_leaves(*, change_id: str, now: datetime.datetime) -> None:
    """Have the new owner sign for the sessions that were agreed to and are not installed yet; safe to run twice.

    :raises errors.Unreachable: the signer did not answer.
    """
    row = _get(change_id)
    wallet = row.wallet
    for grant in models.SessionKeyGrant.objects.filter(
        wallet=wallet, state=models.SessionKeyGrant.State.PENDING
    ).select_related("key"):
        (terms,) = grant.authorization_details
        consent = custody.record_consent(key_id=wallet.owner_key_id, terms=terms, now=now)
        leave = custody.sign_session_install(
            key_id=wallet.owner_key_id,
            policy=grant.policy,
            consent=consent,
            account=words.parse_address(wallet.address),
            chain_id=wallet.chain_id,
        )
        models.SessionKeyGrant.objects.filter(pk=grant.pk).update(owner_leave=leave)


@db.transaction_required
def on_announced(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Wait for the day on which it may be made, or close it."""
    row = _lock(outcome.intent["change_id"])
    if not outcome.succeeded:
        _close(row=row, failure=outcome.reason, now=now)
        return
    row.state = State.ANNOUNCED
    row.ready_at = _ready_at(outcome=outcome) or now + DELAY
    row.save(update_fields=["state", "ready_at"])
    _enqueue(row=row, run_at=row.ready_at)
    tell_control.tell(
        wallet=row.wallet,
        what="rotation",
        key=change_key(row),
        new_owner=outcome.intent["owner"],
        ready_at=row.ready_at,
        now=now,
    )


@db.transaction_required
def on_changed(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Let the next key sign from now on, as the chain does, or try again."""
    row = _lock(outcome.intent["change_id"])
    if outcome.succeeded:
        _complete(row=row, now=now)
        return
    logger.error("an owner key was not replaced: change=%s reason=%s", row.pk, outcome.reason)
    if row.ready_at is not None and now > row.ready_at + datetime.timedelta(days=14):
        _close(row=row, failure=outcome.reason, now=now)
        return
    _enqueue(row=row, run_at=now + RETRY_AFTER)


@db.transaction_required
def learn(*, wallet: models.Wallet, owner: str, now: datetime.datetime) -> bool:
    """Let a rotation that the chain shows as done be done; say whether this owner is the next key of one."""
    row = models.OwnerRotation.objects.filter(
        wallet=wallet, state__in=models.OwnerRotation.OPEN_STATES, new_key__address=owner
    ).first()
    if row is None:
        return False
    row = _lock(str(row.change_id))
    if row.state in models.OwnerRotation.OPEN_STATES and not _live(row=row, kind=Kind.CHANGE_OWNER):
        _complete(row=row, now=now)
    return True


def change_key(row: models.OwnerRotation) -> str:
    """Return what a notice of this rotation is told under."""
    return str(row.change_id)


def _complete(*, row: models.OwnerRotation, now: datetime.datetime) -> None:
    wallet, new_key = row.wallet, row.new_key
    if new_key is None:
        raise RuntimeError("A rotation without a key cannot be done.")
    custody.disable_key(key_id=wallet.owner_key_id, now=now)
    wallet.owner_key = new_key
    wallet.save(update_fields=["owner_key"])
    row.state, row.ended_at, row.failure = State.DONE, now, ""
    row.save(update_fields=["state", "ended_at", "failure"])
    jobs.enqueue(
        name="wallets.renew_leaves",
        key=f"wallets.renew_leaves:{row.pk}",
        arguments={"change_id": str(row.pk)},
        run_at=now,
    )
    tell_control.tell(wallet=wallet, what="rotated", key=change_key(row), new_owner=str(new_key.address), now=now)


def _close(*, row: models.OwnerRotation, failure: str, now: datetime.datetime) -> None:
    row.state, row.failure, row.ended_at = State.FAILED, failure[:500], now
    row.save(update_fields=["state", "failure", "ended_at"])
    if row.new_key_id is not None:
        custody.disable_key(key_id=row.new_key_id, now=now)


def _get(change_id: str) -> models.OwnerRotation:
    found: models.OwnerRotation = models.OwnerRotation.objects.select_related(
        "wallet__owner_key", "wallet__utility", "wallet__customer", "new_key"
    ).get(pk=change_id)
    return found


def _lock(change_id: str) -> models.OwnerRotation:
    models.OwnerRotation.objects.select_for_update().get(pk=change_id)
    return _get(change_id)


def _reserve(*, row: models.OwnerRotation, kind: Kind, now: datetime.datetime) -> models.Operation:
    owner = row.new_key.address if row.new_key is not None else ""
    return operations.reserve(
        wallet=row.wallet,
        grant=None,
        quote=None,
        kind=kind,
        reference="0x" + secrets.token_hex(16),
        intent={"owner": owner, "change_id": str(row.change_id)},
        spend_units=0,
        now=now,
    )


def _submit(operation: models.Operation, *, now: datetime.datetime) -> None:
    try:
        operations.submit(operation_id=operation.pk, now=now)
    except (operations.UnableToSubmit, errors.Unreachable) as error:
        logger.info("an operation waits: operation=%s reason=%s", operation.pk, error)


def _live(*, row: models.OwnerRotation, kind: Kind) -> bool:
    mine = models.Operation.objects.filter(wallet_id=row.wallet_id, kind=kind, intent__change_id=str(row.change_id))
    return mine.exclude(state=models.Operation.State.FAILED).exists()


def _enqueue(*, row: models.OwnerRotation, run_at: datetime.datetime) -> None:
    jobs.enqueue(
        name="wallets.change_owner",
        key=f"wallets.change_owner:{row.change_id}:{int(run_at.timestamp())}",
        arguments={"change_id": str(row.change_id)},
        run_at=run_at,
    )


def _ready_at(*, outcome: outcomes.Outcome) -> datetime.datetime | None:
    for log in outcome.receipt.logs if outcome.receipt is not None else ():
        if log.topics and log.topics[0] == _CHANGE_SCHEDULED:
            return datetime.datetime.fromtimestamp(words.read_uint(bytes.fromhex(log.data[2:]), 32), tz=datetime.UTC)
    return None
