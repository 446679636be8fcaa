"""A payout that was set aside is paid, once two people released it: alone, under its own reference.

The wallet is checked again as it is sent. Whoever is listed still is not paid, and the payout is set aside as before.
"""

import datetime
import logging
import secrets
import uuid

from openvpp.core import db, errors
from programs import models, queries
from programs.domain import proof
from programs.usecases import prove_payouts
from wallets import models as wallet_models
from wallets import operations as wallets
from wallets.domain import intents
from wallets.domain import outcome as outcomes

logger = logging.getLogger(__name__)

State = models.HeldPayout.State


@db.durable
def start(*, payout_id: str, now: datetime.datetime) -> None:
    """Reserve and send a released payout; safe to run twice.

    :raises errors.Unreachable: node, signer or price source did not answer.
    """
    with db.transaction():
        hold = _lock(payout_id=uuid.UUID(payout_id))
        if hold.state != State.RELEASED or _is_on_its_way(hold):
            return
        payout = hold.payout
        event = queries.lock_event(event_id=payout.settlement.event_id)
        intent = intents.ProgramPayout(
            reference=hold.reference,
            token=payout.settlement.token,
            recipients=(payout.recipient_wallet.address,),
            amounts_units=(payout.amount_units,),
            program_id=event.program_id,
        )
        try:
            with db.savepoint():
                hold.operation = wallets.reserve(
                    wallet=event.program.treasury_wallet,
                    grant=None,
                    quote=None,
                    kind=wallet_models.Operation.Kind.PROGRAM_PAYOUT,
                    reference="0x" + secrets.token_hex(16),
                    intent=intent.to_json(),
                    spend_units=payout.amount_units,
                    now=now,
                )
        except errors.UnableTo as error:
            _set_aside_again(hold=hold, failure=error.detail)
            return
        hold.failure = ""
        hold.save(update_fields=["operation", "failure"])
        operation_id = hold.operation.pk
    try:
        wallets.submit(operation_id=operation_id, now=now)
    except (wallets.UnableToSubmit, errors.Unreachable) as error:
        logger.warning("a released payout waits: payout=%s reason=%s", payout_id, error)


@db.transaction_required
def finish(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Write how it ended: paid only if the token's own log in the final receipt proves it."""
    found = models.HeldPayout.objects.get(operation_id=outcome.operation_id)
    hold = _lock(payout_id=found.pk)
    payout, settlement = hold.payout, hold.payout.settlement
    event = queries.lock_event(event_id=settlement.event_id)
    due = {payout.recipient_wallet: payout.amount_units}
    failure = outcome.reason or "There is no receipt."
    if outcome.succeeded and outcome.receipt is not None:
        verdict = prove_payouts.prove(settlement=settlement, event=event, pending=due, receipt=outcome.receipt)
        if isinstance(verdict, proof.Proven):
            prove_payouts.count(settlement=settlement, pending=due, verdict=verdict, receipt=outcome.receipt)
            hold.state = State.PAID
            hold.save(update_fields=["state"])
            payout.state, payout.paid_at = models.Payout.State.PAID, now
            payout.save(update_fields=["state", "paid_at"])
            prove_payouts.book(
                event=event, settlement=settlement, outcome=outcome, paid_units=payout.amount_units, now=now
            )
            prove_payouts.tell_paid(
                settlement=settlement,
                event=event,
                wallet=payout.recipient_wallet,
                units=payout.amount_units,
                transaction_hash=outcome.receipt.transaction_hash,
                key=str(payout.pk),
                now=now,
            )
            return
        failure = verdict.reason
    logger.error("a released payout was not paid: payout=%s reason=%s", hold.pk, failure)
    prove_payouts.book(event=event, settlement=settlement, outcome=outcome, paid_units=0, now=now)
    _set_aside_again(hold=hold, failure=failure)


def _set_aside_again(*, hold: models.HeldPayout, failure: str) -> None:
    hold.state, hold.failure = State.HELD, failure[:500]
    hold.save(update_fields=["state", "failure"])


def _is_on_its_way(hold: models.HeldPayout) -> bool:
    return hold.operation is not None and hold.operation.state not in {
        wallet_models.Operation.State.FAILED,
        wallet_models.Operation.State.SUCCEEDED,
    }


def _lock(*, payout_id: uuid.UUID) -> models.HeldPayout:
    rows = models.HeldPayout.objects.select_for_update(of=("self",)).select_related(
        "payout__settlement", "payout__recipient_wallet__customer", "operation"
    )
    found: models.HeldPayout = rows.get(pk=payout_id)
    return found
