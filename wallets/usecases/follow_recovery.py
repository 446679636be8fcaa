"""What became of a recovery: on the chain by our operations, or by the customer's own key; the rows follow."""

import datetime
import logging

from contracts.bindings import control, events, words
from openvpp.core import db, jobs
from wallets import models
from wallets.adapters import chain
from wallets.domain import outcome as outcomes
from wallets.usecases import tell_control

logger = logging.getLogger(__name__)

State = models.WalletRecovery.State
Kind = models.Operation.Kind
RETRY_AFTER = datetime.timedelta(seconds=30)
WINDOW = datetime.timedelta(days=14)
"""How long an announced recovery may be carried out, as accounts have it."""
_CHANGE_SCHEDULED = "0x" + events.topic_of("ChangeScheduled(bytes32,bytes,uint256)").hex()


def encode(row: models.WalletRecovery) -> bytes:
    """Return the account's calldata that carries an announced recovery out."""
    return control.encode_recover(
        previous_owner=words.parse_address(str(row.previous_owner)), owner=words.parse_address(str(row.new_owner))
    )


@db.durable
def follow(*, wallet: models.Wallet, now: datetime.datetime) -> None:
    """Read what became of a wallet's announced recovery, if it has one, and let the row say the same.

    :raises errors.Unreachable: no node answered.
    """
    row = models.WalletRecovery.objects.filter(wallet=wallet, state=State.ANNOUNCED).first()
    if row is None:
        return
    call = chain.read_announced_call(account=wallet.address, call=encode(row), chain_id=wallet.chain_id)
    with db.transaction():
        row = lock(recovery_id=str(row.pk))
        if row.state == State.ANNOUNCED:
            learn(row=row, call=call, now=now)


@db.transaction_required
def learn(*, row: models.WalletRecovery, call: chain.AnnouncedCall, now: datetime.datetime) -> None:
    """Let a locked row say what the account says: done, called off, or still announced."""
    owner = words.checksummed(call.owner)
    if owner == row.new_owner:
        complete(row=row, now=now)
    elif call.ready_at == 0 or owner != row.previous_owner:
        close(row=row, state=State.CANCELLED, failure="It was called off with the customer's own key.", now=now)
    elif row.ready_at is not None and now >= row.ready_at + WINDOW:
        close(row=row, state=State.FAILED, failure="It was not carried out in time.", now=now)


@db.transaction_required
def on_scheduled(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Wait for the day on which it may be carried out, or close it."""
    row = lock(recovery_id=outcome.intent["recovery_id"])
    announced = _read_announcement(outcome=outcome, account=row.wallet.address)
    if not outcome.succeeded or announced is None:
        close(row=row, state=State.FAILED, failure=outcome.reason, now=now)
        return
    row.state = State.ANNOUNCED
    row.ready_at, row.previous_owner = announced
    row.save(update_fields=["state", "ready_at", "previous_owner"])
    enqueue(row=row, run_at=row.ready_at)
    tell_control.tell(
        wallet=row.wallet, what="recovery", key=str(row.pk), new_owner=row.new_owner, ready_at=row.ready_at, now=now
    )


@db.transaction_required
def on_cancelled(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Close it, or let it stand announced as it does on the chain."""
    row = lock(recovery_id=outcome.intent["recovery_id"])
    if row.state != State.CANCELLING:
        return
    if outcome.succeeded:
        close(row=row, state=State.CANCELLED, failure="", now=now)
        return
    row.state, row.failure = State.ANNOUNCED, outcome.reason[:500]
    row.save(update_fields=["state", "failure"])
    enqueue(row=row, run_at=now + RETRY_AFTER)


@db.transaction_required
def on_recovered(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """End it as it ended on the chain, or look again."""
    row = lock(recovery_id=outcome.intent["recovery_id"])
    if row.state != State.ANNOUNCED:
        return
    if outcome.succeeded:
        complete(row=row, now=now)
        return
    logger.error("a recovery was not carried out: recovery=%s reason=%s", row.pk, outcome.reason)
    enqueue(row=row, run_at=now + RETRY_AFTER)


@db.transaction_required
def complete(*, row: models.WalletRecovery, now: datetime.datetime) -> None:
    """Write down that the new key owns the account, and tell the customer."""
    row.state, row.failure, row.ended_at = State.DONE, "", now
    row.save(update_fields=["state", "failure", "ended_at"])
    tell_control.tell(wallet=row.wallet, what="recovered", key=str(row.pk), new_owner=row.new_owner, now=now)


@db.transaction_required
def close(*, row: models.WalletRecovery, state: State, failure: str, now: datetime.datetime) -> None:
    """Close a recovery that does not happen, and tell the customer why."""
    row.state, row.failure, row.ended_at = state, failure[:500], now
    row.save(update_fields=["state", "failure", "ended_at"])
    what = "recovery_cancelled" if state == State.CANCELLED else "recovery_failed"
    tell_control.tell(wallet=row.wallet, what=what, key=str(row.pk), reason=failure, now=now)


@db.transaction_required
def lock(*, recovery_id: str) -> models.WalletRecovery:
    """Lock a recovery until the open transaction ends."""
    found: models.WalletRecovery = (
        models.WalletRecovery.objects.select_for_update(of=("self",))
        .select_related("wallet__utility", "wallet__customer", "wallet__owner_key")
        .get(pk=recovery_id)
    )
    return found


@db.transaction_required
def enqueue(*, row: models.WalletRecovery, run_at: datetime.datetime) -> None:
    """Have it carried out, or looked at, at an instant."""
    jobs.enqueue(
        name="wallets.recover",
        key=f"wallets.recover:{row.pk}:{int(run_at.timestamp())}",
        arguments={"recovery_id": str(row.pk)},
        run_at=run_at,
    )


def _read_announcement(*, outcome: outcomes.Outcome, account: str) -> tuple[datetime.datetime, str] | None:
    """Return when the recovery may be carried out, and from whom the account goes."""
    for log in outcome.receipt.logs if outcome.receipt is not None else ():
        if log.address == account and log.topics and log.topics[0] == _CHANGE_SCHEDULED:
            data = bytes.fromhex(log.data[2:])
            recovery = words.read_bytes(data, words.read_uint(data, 0))
            ready_at = datetime.datetime.fromtimestamp(words.read_uint(data, 32), tz=datetime.UTC)
            return ready_at, words.checksummed(words.read_address(recovery[4:], 0))
    return None
