"""A customer who leaves custody keeps their utility as guardian.

An exit keeps only a guardian who was one for 48 hours when it was announced. So the guardian is appointed first, and
the job `wallets.announce_exit` announces the exit 48 hours later.
"""

import datetime
import secrets

from contracts.bindings import control
from openvpp.core import db, jobs
from wallets import models, operations
from wallets.domain import outcome as outcomes
from wallets.usecases import tell_control

Kind = models.Operation.Kind
State = models.CustodyExit.State
DELAY = datetime.timedelta(seconds=control.CUSTODIAN_DELAY_SECONDS)


def get_guardian(*, utility_id: int) -> models.Wallet | None:
    """Return the wallet that guards accounts for a utility, if it is made."""
    rows = models.Wallet.objects.of_utility(utility_id).filter(kind=models.Wallet.Kind.GUARDIAN)
    wallet: models.Wallet | None = rows.select_related("utility").first()
    return wallet


@db.transaction_required
def begin(*, row: models.CustodyExit, guardian: models.Wallet, now: datetime.datetime) -> models.Operation | None:
    """Let an exit wait for its guardian; return the appointment to send, or None if it was made before."""
    mine = models.Operation.objects.filter(
        wallet_id=row.wallet_id, kind=Kind.APPOINT_GUARDIAN, intent__guardian=guardian.address
    )
    made = mine.filter(state=models.Operation.State.SUCCEEDED).order_by("-updated_at").first()
    if made is not None:
        _enqueue(row=row, run_at=max(now, made.updated_at + DELAY))
        return None
    return operations.reserve(
        wallet=row.wallet,
        grant=None,
        quote=None,
        kind=Kind.APPOINT_GUARDIAN,
        reference="0x" + secrets.token_hex(16),
        intent={"guardian": guardian.address, "exit_id": str(row.pk)},
        spend_units=0,
        now=now,
    )


@db.transaction_required
def on_appointed(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Have the exit announced in 48 hours, or close it. One that was called off meanwhile stays closed."""
    row = models.CustodyExit.objects.select_for_update(of=("self",)).get(pk=outcome.intent["exit_id"])
    if row.state != State.APPOINTING:
        return
    if outcome.succeeded:
        _enqueue(row=row, run_at=now + DELAY)
        tell_control.tell(
            wallet=row.wallet, what="guardian", key=str(row.pk), new_owner=row.new_owner, ready_at=now + DELAY, now=now
        )
        return
    row.state, row.failure, row.ended_at = State.FAILED, outcome.reason[:500], now
    row.save(update_fields=["state", "failure", "ended_at"])
    tell_control.tell(wallet=row.wallet, what="failed", key=str(row.pk), reason=row.failure, now=now)


def _enqueue(*, row: models.CustodyExit, run_at: datetime.datetime) -> None:
    jobs.enqueue(
        name="wallets.announce_exit",
        key=f"wallets.announce_exit:{row.pk}",
        arguments={"exit_id": str(row.pk)},
        run_at=run_at,
    )
