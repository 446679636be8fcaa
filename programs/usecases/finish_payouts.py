"""Who hears how a payout ended: the settlement, or the payout that had been set aside, which waits for it."""

import datetime

from openvpp.core import db
from programs import models
from programs.usecases import pay_held, settle_event
from wallets.domain import outcome as outcomes


@db.transaction_required
def finish(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Give the outcome to whichever it is."""
    if models.HeldPayout.objects.filter(operation_id=outcome.operation_id).exists():
        pay_held.finish(outcome=outcome, now=now)
    else:
        settle_event.finish(outcome=outcome, now=now)
