"""What the chain says of payouts: proven by the token's own logs, booked, and told."""

import datetime
from collections.abc import Mapping

from billing import operations as billing
from contracts.bindings import events, words
from notifications import models as notice_models
from notifications import operations as notifications
from openvpp.core import db, money
from programs import models
from programs.domain import proof
from relayer.domain import receipts
from wallets import models as wallet_models
from wallets.domain import outcome as outcomes


def prove(
    *,
    settlement: models.Settlement,
    event: models.Event,
    pending: Mapping[wallet_models.Wallet, int],
    receipt: receipts.Receipt,
) -> proof.Proven | proof.NotProven:
    """Return which log proves what each wallet was due; a log that proved something before proves nothing again."""
    counted = set(
        models.PayoutTransfer.objects.filter(
            chain_id=event.program.treasury_wallet.chain_id, transaction_hash=receipt.transaction_hash
        ).values_list("log_index", flat=True)
    )
    logs = [
        events.decode_log(
            address=_raw(log.address),
            topics=[_raw(topic) for topic in log.topics],
            data=_raw(log.data),
            log_index=log.log_index,
        )
        for log in receipt.logs
    ]
    return proof.prove(
        due=proof.Due(
            treasury=words.parse_address(event.program.treasury_wallet.address),
            token=words.parse_address(settlement.token),
            amounts_units={words.parse_address(wallet.address): units for wallet, units in pending.items()},
        ),
        logs=[log for log in logs if log is not None and log.log_index not in counted],
    )


@db.transaction_required
def count(
    *,
    settlement: models.Settlement,
    pending: Mapping[wallet_models.Wallet, int],
    verdict: proof.Proven,
    receipt: receipts.Receipt,
) -> None:
    """Write down which logs proved what, so that each counts once."""
    models.PayoutTransfer.objects.bulk_create(
        models.PayoutTransfer(
            settlement=settlement,
            recipient_wallet=wallet,
            amount_units=units,
            chain_id=wallet.chain_id,
            transaction_hash=receipt.transaction_hash,
            log_index=verdict.log_indexes[words.parse_address(wallet.address)],
        )
        for wallet, units in pending.items()
    )


@db.transaction_required
def book(
    *,
    event: models.Event,
    settlement: models.Settlement,
    outcome: outcomes.Outcome,
    paid_units: int,
    now: datetime.datetime,
) -> None:
    """Book what was paid, and the gas that it cost; what never came into a block cost nothing."""
    if outcome.receipt is None:
        return
    billing.book_payouts(
        utility_id=event.program.utility_id,
        operation_id=outcome.operation_id,
        chain_id=event.program.treasury_wallet.chain_id,
        token=settlement.token,
        paid_units=paid_units,
        receipt=outcome.receipt,
        now=now,
    )


@db.transaction_required
def tell_paid(
    *,
    settlement: models.Settlement,
    event: models.Event,
    wallet: wallet_models.Wallet,
    units: int,
    transaction_hash: str,
    now: datetime.datetime,
    key: str,
) -> None:
    """Tell the wallet's person that they were paid, once for each `key`."""
    if wallet.customer is None or wallet.customer.user_id is None:
        return
    amount = money.from_units(units=units, decimals=settlement.token_decimals)
    notifications.tell(
        user_ids=[wallet.customer.user_id],
        utility_id=event.program.utility_id,
        kind=notice_models.Notice.Kind.PAYOUT_PAID,
        key=f"payout.paid:{key}",
        title=f"You earned {amount} {settlement.token_symbol}",
        body=f"{event.program.name}, {event.name}: your devices helped and you were paid.",
        data={
            "event_id": str(event.pk),
            "amount_units": str(units),
            "token": settlement.token,
            "transaction_hash": transaction_hash,
        },
        now=now,
    )


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
