"""Payouts to wallets that are on a list are set aside, alone, so that their neighbours are paid."""

import datetime
import logging
import secrets
from collections.abc import Collection, Iterable

from controls import operations as controls
from openvpp.core import db
from programs import models
from wallets import models as wallet_models

logger = logging.getLogger(__name__)

PayoutState = models.Payout.State


@db.durable
def find(*, event: models.Event, wallets: Iterable[wallet_models.Wallet], now: datetime.datetime) -> set[str]:
    """Return the addresses of those wallets of an event that are listed."""
    return controls.find_listed(
        utility_id=event.program.utility_id,
        reference=f"event:{event.pk}",
        addresses=[wallet.address for wallet in wallets],
        now=now,
    )


@db.transaction_required
def hold(*, settlement: models.Settlement, listed: Collection[str], now: datetime.datetime) -> None:
    """Set aside what is due to these addresses."""
    rows = settlement.payouts.filter(state=PayoutState.PENDING).select_related("recipient_wallet")
    for payout in [row for row in rows.order_by("pk") if row.recipient_wallet.address in listed]:
        payout.state = PayoutState.HELD
        payout.save(update_fields=["state"])
        address = payout.recipient_wallet.address
        models.HeldPayout.objects.create(
            payout=payout,
            reason=f"{address} is on a list of addresses that nobody may pay.",
            held_at=now,
            reference="0x" + secrets.token_hex(16),
        )
        logger.warning("payout set aside: payout=%s address=%s", payout.pk, address)
