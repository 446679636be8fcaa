"""What became of an exit: on the chain by our operations, or by the customer's own key; the rows follow.

Once the account has changed hands its owner key here is disabled and every grant ends, in one transaction; the wallet
stays readable.
"""

import datetime
import logging

from contracts.bindings import control, events, words
from custody import operations as custody
from openvpp.core import db, jobs
from wallets import models
from wallets.adapters import chain
from wallets.domain import outcome as outcomes
from wallets.usecases import revoke_session_key, tell_control

logger = logging.getLogger(__name__)

State = models.CustodyExit.State
Kind = models.Operation.Kind
DELAY = datetime.timedelta(seconds=control.CUSTODIAN_DELAY_SECONDS)
RETRY_AFTER = datetime.timedelta(seconds=30)
STAYS_GUARDIAN = "Your utility stays guardian: it can stop apps that pay, and recover the wallet if you lose the key."
_EXIT_ANNOUNCED = "0x" + events.topic_of("ExitAnnounced(address,uint256,bool,bool)").hex()


@db.transaction_required
def learn(*, wallet: models.Wallet, state: chain.ControlState, now: datetime.datetime) -> None:
    """Let the rows say of an exit what the account says: announced, called off, or carried out, by whomever.

    Nothing is sent. What is on its way from here is left to its own end.
    """
    wallet = lock(wallet)
    row: models.CustodyExit | None = (
        models.CustodyExit.objects.select_for_update(of=("self",))
        .select_related("wallet__utility", "wallet__customer")
        .filter(wallet=wallet, state__in=models.CustodyExit.OPEN_STATES)
        .first()
    )
    if wallet.left_custody_at is not None or (row is not None and _is_under_way(row)):
        return
    if row is not None and row.state == State.APPOINTING:
        if state.announced is None and not state.is_self_custodied:
            return
        close(row=row, state=State.CANCELLED, failure="Your own key announced another exit.", now=now)
        row = None
    if state.is_self_custodied:
        row = row or _found(wallet=wallet, owner=state.owner, ready_at=now, now=now)
        row.ready_at = row.ready_at or now
        complete(row=row, owner=words.checksummed(state.owner), now=now)
        return
    announced = state.announced
    if row is not None and (announced is None or words.checksummed(announced.owner) != row.new_owner):
        close(row=row, state=State.CANCELLED, failure="It was called off with the customer's own key.", now=now)
        row = None
    if announced is None:
        return
    ready_at = datetime.datetime.fromtimestamp(announced.ready_at, tz=datetime.UTC)
    row = row or _found(wallet=wallet, owner=announced.owner, ready_at=ready_at, now=now)
    if row.ready_at == ready_at and row.created_at != now:
        return
    row.ready_at, row.keeps_guardian = ready_at, announced.keeps_guardian
    row.save(update_fields=["ready_at", "keeps_guardian"])
    enqueue(row=row, run_at=ready_at)
    tell_control.tell(
        wallet=wallet, what="announced", key=str(row.pk), new_owner=row.new_owner, ready_at=ready_at, now=now
    )


@db.transaction_required
def on_announced(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Wait for the day on which it may be carried out, or close it."""
    row = _of(outcome)
    if not outcome.succeeded:
        close(row=row, state=State.FAILED, failure=outcome.reason, now=now)
        return
    row.state = State.ANNOUNCED
    row.ready_at, row.keeps_guardian = _read_announcement(outcome=outcome) or (now + DELAY, row.keeps_guardian)
    row.save(update_fields=["state", "ready_at", "keeps_guardian"])
    enqueue(row=row, run_at=row.ready_at)
    tell_control.tell(
        wallet=row.wallet,
        what="announced",
        key=str(row.pk),
        new_owner=row.new_owner,
        ready_at=row.ready_at,
        reason=STAYS_GUARDIAN if row.keeps_guardian else "",
        now=now,
    )


@db.transaction_required
def on_cancelled(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Close it, or let it stand announced as it does on the chain."""
    row = _of(outcome)
    if outcome.succeeded:
        close(row=row, state=State.CANCELLED, failure=row.failure, now=now)
        return
    row.state, row.failure = State.ANNOUNCED, outcome.reason[:500]
    row.save(update_fields=["state", "failure"])
    enqueue(row=row, run_at=now + RETRY_AFTER)


@db.transaction_required
def on_exited(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """End custody here as it ended on the chain, or try again."""
    row = _of(outcome)
    if outcome.succeeded:
        complete(row=row, owner=row.new_owner, now=now)
        return
    logger.error("an exit was not carried out: exit=%s reason=%s", row.pk, outcome.reason)
    enqueue(row=row, run_at=now + RETRY_AFTER)


@db.transaction_required
def complete(*, row: models.CustodyExit, owner: str, now: datetime.datetime) -> None:
    """End custody here, as it ended on the chain."""
    wallet = lock(row.wallet)
    wallet.left_custody_at = now
    wallet.save(update_fields=["left_custody_at"])
    custody.disable_key(key_id=wallet.owner_key_id, now=now)
    grants = models.SessionKeyGrant.objects.filter(wallet=wallet)
    live = grants.filter(state__in=models.SessionKeyGrant.LIVE_STATES)
    for grant_id in live.order_by("pk").values_list("pk", flat=True):
        revoke_session_key.revoke(grant_id=grant_id, now=now)
    # The chain dropped every session in the same step, so there is nothing left to take off it.
    grants.filter(state=models.SessionKeyGrant.State.REVOKING).update(state=models.SessionKeyGrant.State.REVOKED)
    row.new_owner, row.state, row.failure, row.ended_at = owner, State.LEFT, "", now
    row.save(update_fields=["new_owner", "state", "failure", "ended_at"])
    tell_control.tell(wallet=wallet, what="left", key=str(row.pk), new_owner=owner, now=now)


@db.transaction_required
def close(*, row: models.CustodyExit, state: State, failure: str, now: datetime.datetime) -> None:
    """Close an exit that does not happen, and tell the customer why."""
    row.state, row.failure, row.ended_at = state, failure[:500], now
    row.save(update_fields=["state", "failure", "ended_at"])
    what = "cancelled" if state == State.CANCELLED else "failed"
    tell_control.tell(wallet=row.wallet, what=what, key=str(row.pk), reason=failure, now=now)


def _found(
    *, wallet: models.Wallet, owner: bytes, ready_at: datetime.datetime, now: datetime.datetime
) -> models.CustodyExit:
    """Return the row of an exit that was announced with the customer's own key, without us."""
    row: models.CustodyExit = models.CustodyExit.objects.create(
        wallet=wallet,
        new_owner=words.checksummed(owner),
        asked_by=wallet.customer.user if wallet.customer is not None else None,
        state=State.ANNOUNCED,
        ready_at=ready_at,
        created_at=now,
    )
    return row


def _is_under_way(row: models.CustodyExit) -> bool:
    kinds = [Kind.ANNOUNCE_EXIT, Kind.CANCEL_EXIT, Kind.EXIT]
    mine = models.Operation.objects.filter(wallet_id=row.wallet_id, kind__in=kinds, intent__exit_id=str(row.pk))
    return mine.exclude(state__in=[models.Operation.State.FAILED, models.Operation.State.SUCCEEDED]).exists()


@db.transaction_required
def lock(wallet: models.Wallet) -> models.Wallet:
    """Lock a wallet until the open transaction ends."""
    found: models.Wallet = models.Wallet.objects.select_for_update(no_key=True, of=("self",)).get(pk=wallet.pk)
    return found


@db.transaction_required
def enqueue(*, row: models.CustodyExit, run_at: datetime.datetime) -> None:
    """Have it carried out, or looked at, at an instant."""
    jobs.enqueue(
        name="wallets.carry_out_exit",
        key=f"wallets.carry_out_exit:{row.pk}:{int(run_at.timestamp())}",
        arguments={"exit_id": str(row.pk)},
        run_at=run_at,
    )


def _of(outcome: outcomes.Outcome) -> models.CustodyExit:
    found: models.CustodyExit = (
        models.CustodyExit.objects.select_for_update(of=("self",))
        .select_related("wallet__utility", "wallet__customer")
        .get(pk=outcome.intent["exit_id"])
    )
    return found


def _read_announcement(*, outcome: outcomes.Outcome) -> tuple[datetime.datetime, bool] | None:
    for log in outcome.receipt.logs if outcome.receipt is not None else ():
        if log.topics and log.topics[0] == _EXIT_ANNOUNCED:
            data = bytes.fromhex(log.data[2:])
            ready_at = datetime.datetime.fromtimestamp(words.read_uint(data, 0), tz=datetime.UTC)
            return ready_at, bool(words.read_uint(data, 32))
    return None
