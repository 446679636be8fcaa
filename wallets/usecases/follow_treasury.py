"""Customers' wallets follow their utility's treasury, as two people moved it; a wallet at a time, until all have.

From the approval's commit on nothing is signed or queued that pays the old treasury (`wallets.operations`,
`custody.usecases.check_spending`). What is done here lets payments go on: the signer, which looks at the approved
change itself, seals each wallet's owner keys for the new treasury, and sessions that may pay only the old one end, so
that the customer agrees anew, to the payee that they then read.
"""

import datetime
import logging
import uuid

from controls import models as controls_models
from custody import operations as custody
from custody import queries as custody_queries
from openvpp.core import db, errors, jobs
from wallets import models
from wallets.usecases import revoke_session_key

logger = logging.getLogger(__name__)

State = models.TreasuryMove.State
MOST_AT_ONCE = 200
MOST_ATTEMPTS = 50
RETRY_AFTER = datetime.timedelta(minutes=1)
# A wallet that was being opened during the approval may still have been sealed for the old treasury.
LOOK_AGAIN_FOR = datetime.timedelta(minutes=10)


class UnableToFollow(errors.UnableTo):
    """No change of a treasury that two people made stands behind this."""


@db.transaction_required
def on_treasury_changed(*, change_id: str, now: datetime.datetime) -> None:
    """Begin, once the approval is committed."""
    _enqueue(change_id=change_id, run_at=now)


@db.durable
def follow(*, change_id: str, now: datetime.datetime) -> None:
    """Move the wallets that have not followed yet, some of them; comes back until none is left. Safe to run twice.

    :raises UnableToFollow: there is no such change.
    """
    change = controls_models.ChangeRequest.objects.filter(
        pk=change_id, kind=controls_models.ChangeRequest.Kind.UTILITY_TERMS, state="applied"
    ).first()
    if change is None or change.decided_at is None:
        raise UnableToFollow("No change that two people made stands behind this.", code="no_such_change")
    _list_wallets(change=change, now=now)
    waiting = models.TreasuryMove.objects.filter(change=change, state=State.WAITING)
    for move_id in waiting.order_by("attempts", "pk").values_list("pk", flat=True)[:MOST_AT_ONCE]:
        try:
            _move(move_id=move_id, now=now)
        except errors.Unreachable as error:
            logger.warning("wallets wait to follow a treasury: change=%s reason=%s", change_id, error)
            break
    if waiting.exists() or now < change.decided_at + LOOK_AGAIN_FOR:
        with db.transaction():
            _enqueue(change_id=change_id, run_at=now + RETRY_AFTER)


@db.transaction
def _list_wallets(*, change: controls_models.ChangeRequest, now: datetime.datetime) -> None:
    behind = custody_queries.customers_sealed_for(utility_id=change.utility_id, payee=change.before["treasury_address"])
    paying = models.SessionKeyGrant.objects.filter(
        wallet__utility_id=change.utility_id,
        payee=change.before["treasury_address"],
        state__in=models.SessionKeyGrant.LIVE_STATES,
    ).values("wallet_id")
    wallets = models.Wallet.objects.of_utility(change.utility_id).filter(kind=models.Wallet.Kind.CUSTOMER)
    wallets = wallets.filter(customer_id__in=behind) | wallets.filter(pk__in=paying)
    known = models.TreasuryMove.objects.filter(change=change).values("wallet_id")
    models.TreasuryMove.objects.bulk_create(
        (models.TreasuryMove(wallet=wallet, change=change, created_at=now) for wallet in wallets.exclude(pk__in=known)),
        ignore_conflicts=True,
        batch_size=1000,
    )


def _move(*, move_id: int, now: datetime.datetime) -> None:
    move = models.TreasuryMove.objects.select_related("wallet", "change").get(pk=move_id)
    old = move.change.before["treasury_address"]
    try:
        for key_id in custody_queries.owner_keys_sealed_for(customer_id=move.wallet.customer_id, payee=old):
            custody.apply_change(change_id=str(move.change_id), key_id=key_id, now=now)
    except custody.UnableToApplyChange as error:
        move.attempts += 1
        move.failure = error.detail[:500]
        if move.attempts >= MOST_ATTEMPTS:
            move.state, move.ended_at = State.FAILED, now
        move.save(update_fields=["attempts", "failure", "state", "ended_at"])
        return
    with db.transaction():
        grants = models.SessionKeyGrant.objects.filter(
            wallet=move.wallet, payee=old, state__in=models.SessionKeyGrant.LIVE_STATES
        )
        for grant_id in grants.order_by("pk").values_list("pk", flat=True):
            revoke_session_key.revoke(grant_id=grant_id, now=now)
        move.state, move.failure, move.ended_at = State.DONE, "", now
        move.save(update_fields=["state", "failure", "ended_at"])


def _enqueue(*, change_id: str, run_at: datetime.datetime) -> None:
    jobs.enqueue(
        name="wallets.follow_treasury",
        key=f"wallets.follow_treasury:{uuid.UUID(change_id)}:{int(run_at.timestamp())}",
        arguments={"change_id": change_id},
        run_at=run_at,
    )
