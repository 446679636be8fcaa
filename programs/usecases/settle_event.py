"""What an event earned, computed once from telemetry, and paid once from the program's treasury wallet.

`start` computes and sends the batch, `finish` comes back from the chain, `retry` sends a batch that failed again: under
a new operation and the old reference, which the chain's payout contract pays once.
"""

import collections
import datetime
import decimal
import fractions
import logging
import secrets
import uuid
import zoneinfo
from collections.abc import Collection

from customers import models as customer_models
from ders import queries as ders
from openvpp.core import db, errors, period
from programs import models, queries
from programs.domain import baseline, earnings, proof
from programs.usecases import prove_payouts, set_aside
from wallets import models as wallet_models
from wallets import operations as wallets
from wallets.domain import intents
from wallets.domain import outcome as outcomes

logger = logging.getLogger(__name__)

EventState = models.Event.State
State = models.Settlement.State
PayoutState = models.Payout.State
MILLI = decimal.Decimal("0.001")


class UnableToSettleEvent(errors.UnableTo):
    """The event is settled already, not over yet, or not fully measured."""


@db.durable
def start(
    *, event_id: uuid.UUID, by: customer_models.User, now: datetime.datetime, accept_gaps: bool = False
) -> models.Settlement:
    """Compute baseline, performance and payout of every device, and send the payouts to the chain.

    Intervals that were not measured earn nothing, so they must be accepted by name with `accept_gaps`.

    :raises queries.UnableToManageProgram: `by` is not a program manager of the utility.
    :raises UnableToSettleEvent: `already_settled`, `event_not_dispatched`, `window_not_over` or `telemetry_missing`;
        nothing is written and nothing is paid.
    """
    event = queries.get_event(event_id=event_id)
    queries.require_manager(user=by, utility_id=event.program.utility_id)
    wallets_due = [part.device.customer.wallet for part in event.devices.select_related("device__customer__wallet")]
    listed = set_aside.find(event=event, wallets=wallets_due, now=now)
    settlement = _compute(event_id=event_id, by=by, accept_gaps=accept_gaps, listed=listed, now=now)
    _submit(settlement=settlement, now=now)
    return models.Settlement.objects.get(pk=settlement.pk)


@db.durable
def start_with_gaps(*, event_id: uuid.UUID, by: customer_models.User, now: datetime.datetime) -> models.Settlement:
    """Settle like `start`, with leave to pay nothing for intervals that were not measured."""
    return start(event_id=event_id, by=by, now=now, accept_gaps=True)


class UnableToRetrySettlement(errors.UnableTo):
    """The settlement did not fail."""


@db.durable
def retry(*, event_id: uuid.UUID, by: customer_models.User, now: datetime.datetime) -> models.Settlement:
    """Send the payouts of a settlement that failed again, with the same amounts and the same reference.

    Whose wallet has come onto a list since is set aside.

    :raises queries.UnableToManageProgram: `by` is not a program manager of the utility.
    :raises UnableToRetrySettlement: `settlement_not_failed`.
    """
    event = queries.get_event(event_id=event_id)
    queries.require_manager(user=by, utility_id=event.program.utility_id)
    failed = models.Settlement.objects.filter(event=event, state=State.FAILED).first()
    waiting = list(_pending_by_wallet(settlement=failed)) if failed is not None else []
    listed = set_aside.find(event=event, wallets=waiting, now=now)
    with db.transaction():
        event = queries.lock_event(event_id=event_id)
        queries.require_manager(user=by, utility_id=event.program.utility_id)
        settlement = models.Settlement.objects.filter(event=event, state=State.FAILED).first()
        if settlement is None:
            raise UnableToRetrySettlement("The settlement did not fail.", code="settlement_not_failed")
        set_aside.hold(settlement=settlement, listed=listed, now=now)
        _reserve(settlement=settlement, event=event, now=now)
    _submit(settlement=settlement, now=now)
    return models.Settlement.objects.get(pk=settlement.pk)


class UnableToFinishSettlement(errors.UnableTo):
    """The settlement does not wait for this operation."""


@db.transaction_required
def finish(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Write how the payouts ended: paid only if the token's own logs in the final receipt prove each of them.

    :raises UnableToFinishSettlement: it has ended before, or another operation pays it.
    """
    found = (
        models.Settlement.objects.filter(operation_id=outcome.operation_id).values_list("event_id", flat=True).first()
    )
    if found is None:
        raise UnableToFinishSettlement("No settlement waits for this operation.")
    event = queries.lock_event(event_id=found)
    settlement = models.Settlement.objects.get(event=event)
    if settlement.state != State.PAYING:
        raise UnableToFinishSettlement(f"The settlement is {settlement.state} already.")
    if not outcome.succeeded or outcome.receipt is None:
        _fail(settlement=settlement, reason=outcome.reason or "There is no receipt.")
        prove_payouts.book(event=event, settlement=settlement, outcome=outcome, paid_units=0, now=now)
        return
    pending = _pending_by_wallet(settlement=settlement)
    verdict = prove_payouts.prove(settlement=settlement, event=event, pending=pending, receipt=outcome.receipt)
    if isinstance(verdict, proof.NotProven):
        logger.error("payouts not proven: settlement=%s reason=%s", settlement.pk, verdict.reason)
        _fail(settlement=settlement, reason=verdict.reason)
        prove_payouts.book(event=event, settlement=settlement, outcome=outcome, paid_units=0, now=now)
        return
    prove_payouts.count(settlement=settlement, pending=pending, verdict=verdict, receipt=outcome.receipt)
    settlement.payouts.filter(state=PayoutState.PENDING).update(state=PayoutState.PAID, paid_at=now)
    settlement.state, settlement.paid_at, settlement.failure = State.PAID, now, ""
    settlement.transaction_hash = outcome.receipt.transaction_hash
    settlement.block_number = outcome.receipt.block_number
    settlement.save(update_fields=["state", "paid_at", "failure", "transaction_hash", "block_number"])
    models.Event.objects.filter(pk=event.pk).update(state=EventState.SETTLED)
    prove_payouts.book(event=event, settlement=settlement, outcome=outcome, paid_units=sum(pending.values()), now=now)
    for wallet, units in pending.items():
        prove_payouts.tell_paid(
            settlement=settlement,
            event=event,
            wallet=wallet,
            units=units,
            transaction_hash=outcome.receipt.transaction_hash,
            key=str(settlement.pk),
            now=now,
        )


@db.transaction
def _compute(
    *,
    event_id: uuid.UUID,
    by: customer_models.User,
    accept_gaps: bool,
    listed: Collection[str],
    now: datetime.datetime,
) -> models.Settlement:
    event = queries.lock_event(event_id=event_id)
    queries.require_manager(user=by, utility_id=event.program.utility_id)
    _require_settleable(event=event, now=now)
    token = event.program.payout_token
    settlement = models.Settlement(
        event=event,
        reference="0x" + secrets.token_hex(16),
        token=token.address,
        token_symbol=token.symbol,
        token_decimals=token.decimals,
        payout_usd_per_kwh=event.program.payout_usd_per_kwh,
        computed_at=now,
    )
    parts = event.devices.select_related("device__customer__wallet").order_by("pk")
    payouts = [_assess(part=part, event=event, settlement=settlement) for part in parts]
    gaps = [payout for payout in payouts if any(row["actual_wh"] is None for row in payout.intervals)]
    if gaps and not accept_gaps:
        names = ", ".join(payout.event_device.device.name for payout in gaps)
        raise UnableToSettleEvent(
            f"Telemetry is missing for {names}. Wait for it, or settle with the gaps, which earn nothing.",
            code="telemetry_missing",
            extra={"device_ids": [str(payout.event_device.device_id) for payout in gaps]},
        )
    settlement.total_units = sum(payout.amount_units for payout in payouts)
    settlement.state = State.PAYING if settlement.total_units else State.NOTHING_DUE
    settlement.save(force_insert=True)
    models.Payout.objects.bulk_create(payouts)
    event.state = EventState.SETTLING if settlement.total_units else EventState.SETTLED
    event.save(update_fields=["state"])
    if settlement.total_units:
        set_aside.hold(settlement=settlement, listed=listed, now=now)
        _reserve(settlement=settlement, event=event, now=now)
    return settlement


def _require_settleable(*, event: models.Event, now: datetime.datetime) -> None:
    if event.state in {EventState.SETTLING, EventState.SETTLED}:
        raise UnableToSettleEvent("The event is settled already; nothing was paid again.", code="already_settled")
    if event.state not in {EventState.DISPATCHING, EventState.ACTIVE, EventState.ENDED}:
        raise UnableToSettleEvent(f"The event is {event.state}.", code="event_not_dispatched")
    if now < event.ends_at:
        raise UnableToSettleEvent("The window is not over yet.", code="window_not_over")


def _assess(*, part: models.EventDevice, event: models.Event, settlement: models.Settlement) -> models.Payout:
    zone = zoneinfo.ZoneInfo(event.program.utility.time_zone)
    window = period.Period(event.starts_at, event.ends_at)
    starts = baseline.intervals(window=window)
    measured = ders.get_net_wh(
        device_id=part.device_id,
        starts_at=baseline.history(window=window).starts_at,
        ends_at=event.ends_at,
        interval_seconds=baseline.INTERVAL_SECONDS,
    )
    usual = baseline.compute(
        window=window,
        zone=zone,
        holidays={datetime.date.fromisoformat(day) for day in event.program.holidays},
        excluded=queries.get_event_days(device_id=part.device_id, event=event, zone=zone),
        measured_wh=measured,
        min_days=event.program.baseline_min_days,
    )
    actual = [measured.get(start) for start in starts]
    expected: tuple[fractions.Fraction | None, ...] = (
        usual.interval_wh if isinstance(usual, baseline.Baseline) else (None,) * len(starts)
    )
    payout = models.Payout(
        settlement=settlement,
        event_device=part,
        recipient_wallet=part.device.customer.wallet,
        baseline_days=[day.isoformat() for day in usual.days],
        intervals=[
            {"starts_at": at.isoformat(), "baseline_wh": None if b is None else str(_milli(b)), "actual_wh": a}
            for at, b, a in zip(starts, expected, actual, strict=True)
        ],
        performance_wh=decimal.Decimal(0),
        amount_units=0,
        state=PayoutState.NONE,
    )
    if isinstance(usual, baseline.TooFewDays):
        payout.reason = "too_few_like_days"
        return payout
    done = earnings.perform(baseline_wh=usual.interval_wh, actual_wh=actual)
    payout.baseline_wh, payout.actual_wh = _milli(done.baseline_wh), done.actual_wh
    payout.performance_wh = _milli(done.performance_wh)
    earned = earnings.payout_units(
        performance_wh=done.performance_wh,
        payout_usd_per_kwh=settlement.payout_usd_per_kwh,
        token_decimals=settlement.token_decimals,
    )
    if not done.measured:
        payout.reason = "not_measured"
    elif part.acknowledged_at is None:
        payout.reason = "not_acknowledged"
    elif earned == 0:
        payout.reason = "nothing_performed"
    else:
        payout.amount_units, payout.state = earned, PayoutState.PENDING
    return payout


def _milli(value: fractions.Fraction) -> decimal.Decimal:
    """Return Wh to three places, for people to read; payouts follow from the exact value."""
    return (decimal.Decimal(value.numerator) / value.denominator).quantize(MILLI)


@db.transaction_required
def _reserve(*, settlement: models.Settlement, event: models.Event, now: datetime.datetime) -> None:
    pending = _pending_by_wallet(settlement=settlement)
    if not pending:
        settlement.state, settlement.failure, settlement.operation = State.SET_ASIDE, "", None
        settlement.save(update_fields=["state", "failure", "operation"])
        models.Event.objects.filter(pk=event.pk).update(state=EventState.SETTLED)
        return
    intent = intents.ProgramPayout(
        reference=settlement.reference,
        token=settlement.token,
        recipients=tuple(wallet.address for wallet in pending),
        amounts_units=tuple(pending.values()),
        program_id=event.program_id,
    )
    settlement.operation = wallets.reserve(
        wallet=event.program.treasury_wallet,
        grant=None,
        quote=None,
        kind=wallet_models.Operation.Kind.PROGRAM_PAYOUT,
        # Each attempt has its own name here; the chain knows them all by the settlement's reference.
        reference="0x" + secrets.token_hex(16),
        intent=intent.to_json(),
        spend_units=sum(pending.values()),
        now=now,
    )
    settlement.state, settlement.failure = State.PAYING, ""
    settlement.save(update_fields=["operation", "state", "failure"])


def _submit(*, settlement: models.Settlement, now: datetime.datetime) -> None:
    if settlement.operation_id is None:
        return
    try:
        wallets.submit(operation_id=settlement.operation_id, now=now)
    except (wallets.UnableToSubmit, errors.Unreachable) as error:
        logger.warning("payouts wait: settlement=%s reason=%s", settlement.pk, error)


def _pending_by_wallet(*, settlement: models.Settlement) -> dict[wallet_models.Wallet, int]:
    """Return what each wallet is due, in the order of addresses."""
    due: dict[wallet_models.Wallet, int] = collections.defaultdict(int)
    rows = settlement.payouts.filter(state=PayoutState.PENDING).select_related("recipient_wallet__customer")
    for payout in rows.order_by("recipient_wallet__address", "pk"):
        due[payout.recipient_wallet] += payout.amount_units
    return dict(due)


def _fail(*, settlement: models.Settlement, reason: str) -> None:
    settlement.state, settlement.failure = State.FAILED, reason[:500]
    settlement.save(update_fields=["state", "failure"])
