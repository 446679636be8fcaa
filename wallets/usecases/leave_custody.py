"""A customer leaves custody: their account's next owner is a key that they hold.

`ask` announces it on the chain; 48 hours later, when anybody may, the job `wallets.carry_out_exit` runs `carry_out`.
The customer calls it off with `cancel` until then. Once the account has changed hands its owner key here is disabled
and every grant ends, in one transaction; the wallet stays readable. What happens on the chain without us, an exit
carried out or called off with the customer's own key, is read before anything is sent.
"""

import datetime
import logging
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from contracts.bindings import control, events, words
from controls import models as controls_models
from controls import operations as controls
from controls import queries as controls_queries
from custody import operations as custody
from custody import queries as custody_queries
from custody.domain import consents
from customers import models as customer_models
from openvpp.core import db, errors, jobs
from wallets import models, operations
from wallets.adapters import chain
from wallets.domain import new_owners
from wallets.domain import outcome as outcomes
from wallets.usecases import revoke_session_key, tell_control

logger = logging.getLogger(__name__)

State = models.CustodyExit.State
Kind = models.Operation.Kind
DELAY = datetime.timedelta(seconds=control.CUSTODIAN_DELAY_SECONDS)
RETRY_AFTER = datetime.timedelta(seconds=30)
LOOK_AGAIN_AFTER = datetime.timedelta(hours=1)
_EXIT_ANNOUNCED = "0x" + events.topic_of("ExitAnnounced(address,uint256,bool,bool)").hex()


class UnableToLeaveCustody(errors.UnableTo):
    """The wallet does not leave custody, or not to this key: `code` says why. Nothing moved."""


@db.durable
def ask(
    *,
    wallet: models.Wallet,
    owner: new_owners.NewOwner,
    user: customer_models.User,
    now: datetime.datetime,
    change: controls_models.ChangeRequest | None = None,
) -> models.CustodyExit:
    """Announce that the account of a customer's wallet goes to a key that they hold, 48 hours from the announcement.

    The key is checked against lists like a payee. It is enrolled as the customer's key if there is none yet.

    :raises UnableToLeaveCustody: `left_already`, `exit_open`, `wallet_frozen`, `owner_is_contract` or `owner_is_ours`.
    :raises controls.UnableToPass: the key's address is listed.
    :raises controls.UnableToCheckYet: nobody can say whether it is.
    :raises errors.Unreachable: node or signer did not answer.
    """
    exit_id = uuid.uuid4()
    _require_possible(wallet=wallet)
    state = _read_custodial(wallet=wallet)
    _require_key(wallet=wallet, owner=owner.address)
    controls.screen(
        utility_id=wallet.utility_id,
        direction="payout",
        reference=f"exit:{exit_id}",
        addresses=[wallet.address, owner.address],
        now=now,
    )
    terms = {"type": consents.EXIT, "wallet": wallet.address, "new_owner": owner.address, "exit_id": str(exit_id)}
    custody.record_consent(key_id=wallet.owner_key_id, terms=terms, now=now)
    with db.transaction():
        wallet = _lock(wallet)
        _require_possible(wallet=wallet)
        row: models.CustodyExit = models.CustodyExit.objects.create(
            pk=exit_id,
            wallet=wallet,
            new_owner=owner.address,
            passkey=owner.passkey,
            asked_by=user,
            change=change,
            created_at=now,
        )
        enrols = state is None or state.customer == words.ZERO_ADDRESS
        operation = _reserve(
            row=row, kind=Kind.ANNOUNCE_EXIT, intent={"owner": owner.address, "enrols": enrols}, now=now
        )
    _submit(operation, now=now)
    return row


@db.durable
def ask_for_customer(*, change_id: str, now: datetime.datetime) -> None:
    """Announce the exit that two people of the utility asked for at the customer's request; safe to run twice.

    :raises UnableToLeaveCustody: as `ask`; also `no_such_change`.
    :raises errors.Unreachable: node or signer did not answer.
    """
    change = controls_models.ChangeRequest.objects.filter(
        pk=change_id, kind=controls_models.ChangeRequest.Kind.CUSTODY_EXIT, state="applied"
    ).first()
    if change is None:
        raise UnableToLeaveCustody("No change that two people made stands behind this.", code="no_such_change")
    if models.CustodyExit.objects.filter(change=change).exists():
        return
    wallet = models.Wallet.objects.select_related("utility", "customer__user").get(pk=change.subject)
    owner = new_owners.of_address(str(change.after["new_owner"]))
    try:
        ask(wallet=wallet, owner=owner, user=change.maker, change=change, now=now)
    except errors.UnableTo as error:
        with db.transaction():
            tell_control.tell(wallet=wallet, what="refused", key=str(change.pk), reason=error.detail, now=now)
        raise


@db.durable
def cancel(*, wallet: models.Wallet, now: datetime.datetime) -> models.CustodyExit:
    """Call an announced exit off on the chain.

    :raises UnableToLeaveCustody: `no_exit`, `exit_not_announced` while the announcement is still on its way, or
        `exit_under_way`.
    """
    with db.transaction():
        _lock(wallet)
        row: models.CustodyExit | None = models.CustodyExit.objects.filter(
            wallet=wallet, state__in=models.CustodyExit.OPEN_STATES
        ).first()
        if row is None:
            raise UnableToLeaveCustody("No exit is announced.", code="no_exit")
        if row.state == State.CANCELLING:
            return row
        if row.state == State.ASKED:
            raise UnableToLeaveCustody(
                "The announcement is still on its way to the chain. Try again in a minute.", code="exit_not_announced"
            )
        if _live(row=row, kind=Kind.EXIT):
            raise UnableToLeaveCustody("The exit is being carried out.", code="exit_under_way")
        row.state = State.CANCELLING
        row.save(update_fields=["state"])
        operation = _reserve(row=row, kind=Kind.CANCEL_EXIT, intent={}, now=now)
    _submit(operation, now=now)
    return row


@db.durable
def carry_out(*, exit_id: str, now: datetime.datetime) -> None:
    """Carry out an exit that is ripe, or learn from the chain what became of it; safe to run twice.

    While the wallet is frozen it waits, and looks again every hour.

    :raises errors.Unreachable: node, signer or price source did not answer.
    """
    row = models.CustodyExit.objects.select_related("wallet__utility", "wallet__customer").get(pk=exit_id)
    if row.state != State.ANNOUNCED:
        return
    state = chain.read_control(account=row.wallet.address, chain_id=row.wallet.chain_id)
    with db.transaction():
        wallet = _lock(row.wallet)
        row = models.CustodyExit.objects.select_related("wallet__utility", "wallet__customer").get(pk=exit_id)
        if row.state != State.ANNOUNCED or _live(row=row, kind=Kind.EXIT):
            return
        if state is not None and state.is_self_custodied:
            _complete(row=row, owner=words.checksummed(state.owner), now=now)
            return
        if state is None or state.announced is None or words.checksummed(state.announced.owner) != row.new_owner:
            _close(row=row, state=State.CANCELLED, failure="It was called off with the customer's own key.", now=now)
            return
        row.ready_at = datetime.datetime.fromtimestamp(state.announced.ready_at, tz=datetime.UTC)
        row.save(update_fields=["ready_at"])
        if row.ready_at > now:
            _enqueue(row=row, run_at=row.ready_at)
            return
        tell_control.tell(wallet=wallet, what="ready", key=str(row.pk), new_owner=row.new_owner, now=now)
        if controls_queries.get_freeze(account=wallet.address, chain_id=wallet.chain_id) is not None:
            _enqueue(row=row, run_at=now + LOOK_AGAIN_AFTER)
            return
        operation = _reserve(row=row, kind=Kind.EXIT, intent={}, now=now)
    _submit(operation, now=now)


@db.transaction_required
def learn(*, wallet: models.Wallet, state: chain.ControlState, now: datetime.datetime) -> None:
    """Let the rows say of an exit what the account says: announced, called off, or carried out, by whomever.

    Nothing is sent. What is on its way from here is left to its own end.
    """
    wallet = _lock(wallet)
    row: models.CustodyExit | None = (
        models.CustodyExit.objects.select_for_update(of=("self",))
        .select_related("wallet__utility", "wallet__customer")
        .filter(wallet=wallet, state__in=models.CustodyExit.OPEN_STATES)
        .first()
    )
    if wallet.left_custody_at is not None or (row is not None and _is_under_way(row)):
        return
    if state.is_self_custodied:
        row = row or _found(wallet=wallet, owner=state.owner, ready_at=now, now=now)
        row.ready_at = row.ready_at or now
        _complete(row=row, owner=words.checksummed(state.owner), now=now)
        return
    announced = state.announced
    if row is not None and (announced is None or words.checksummed(announced.owner) != row.new_owner):
        _close(row=row, state=State.CANCELLED, failure="It was called off with the customer's own key.", now=now)
        row = None
    if announced is None:
        return
    ready_at = datetime.datetime.fromtimestamp(announced.ready_at, tz=datetime.UTC)
    row = row or _found(wallet=wallet, owner=announced.owner, ready_at=ready_at, now=now)
    if row.ready_at == ready_at and row.created_at != now:
        return
    row.ready_at = ready_at
    row.save(update_fields=["ready_at"])
    _enqueue(row=row, run_at=ready_at)
    tell_control.tell(
        wallet=wallet, what="announced", key=str(row.pk), new_owner=row.new_owner, ready_at=ready_at, now=now
    )


@db.transaction_required
def on_announced(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Wait for the day on which it may be carried out, or close it."""
    row = _of(outcome)
    if not outcome.succeeded:
        _close(row=row, state=State.FAILED, failure=outcome.reason, now=now)
        return
    row.state = State.ANNOUNCED
    row.ready_at = _ready_at(outcome=outcome) or now + DELAY
    row.save(update_fields=["state", "ready_at"])
    _enqueue(row=row, run_at=row.ready_at)
    tell_control.tell(
        wallet=row.wallet, what="announced", key=str(row.pk), new_owner=row.new_owner, ready_at=row.ready_at, now=now
    )


@db.transaction_required
def on_cancelled(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Close it, or let it stand announced as it does on the chain."""
    row = _of(outcome)
    if outcome.succeeded:
        _close(row=row, state=State.CANCELLED, failure="", now=now)
        return
    row.state, row.failure = State.ANNOUNCED, outcome.reason[:500]
    row.save(update_fields=["state", "failure"])
    _enqueue(row=row, run_at=now + RETRY_AFTER)


@db.transaction_required
def on_exited(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """End custody here as it ended on the chain, or try again."""
    row = _of(outcome)
    if outcome.succeeded:
        _complete(row=row, owner=row.new_owner, now=now)
        return
    logger.error("an exit was not carried out: exit=%s reason=%s", row.pk, outcome.reason)
    _enqueue(row=row, run_at=now + RETRY_AFTER)


def _complete(*, row: models.CustodyExit, owner: str, now: datetime.datetime) -> None:
    wallet = _lock(row.wallet)
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


def _close(*, row: models.CustodyExit, state: State, failure: str, now: datetime.datetime) -> None:
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


def _require_possible(*, wallet: models.Wallet) -> None:
    if wallet.kind != models.Wallet.Kind.CUSTOMER:
        raise UnableToLeaveCustody("Only a customer's wallet leaves custody.", code="not_a_customers")
    if wallet.left_custody_at is not None:
        raise UnableToLeaveCustody("You own this wallet yourself already.", code="left_already")
    if models.CustodyExit.objects.filter(wallet=wallet, state__in=models.CustodyExit.OPEN_STATES).exists():
        raise UnableToLeaveCustody("An exit is announced already; call it off first.", code="exit_open")
    freeze = controls_queries.get_freeze(account=wallet.address, chain_id=wallet.chain_id)
    if freeze is not None:
        raise UnableToLeaveCustody("The wallet is frozen; ask your utility.", code="wallet_frozen")


def _read_custodial(*, wallet: models.Wallet) -> chain.ControlState | None:
    state = chain.read_control(account=wallet.address, chain_id=wallet.chain_id)
    if state is not None and state.is_self_custodied:
        raise UnableToLeaveCustody("You own this wallet yourself already.", code="left_already")
    return state


def _require_key(*, wallet: models.Wallet, owner: str) -> None:
    """Refuse what is no key of the customer's: a contract signs nothing, and our own keys are what they leave."""
    is_ours = models.Wallet.objects.filter(address=owner).exists() or custody_queries.is_our_key(address=owner)
    if is_ours or owner == wallet.utility.treasury_address:
        raise UnableToLeaveCustody(
            "That address is the utility's or a wallet here, not your key.", code="owner_is_ours"
        )
    if chain.read_account(address=owner, chain_id=wallet.chain_id).is_deployed:
        raise UnableToLeaveCustody(
            "That address is a contract, which cannot sign as an owner.", code="owner_is_contract"
        )


def _lock(wallet: models.Wallet) -> models.Wallet:
    found: models.Wallet = models.Wallet.objects.select_for_update(no_key=True, of=("self",)).get(pk=wallet.pk)
    return found


def _reserve(
    *, row: models.CustodyExit, kind: Kind, intent: Mapping[str, Any], now: datetime.datetime
) -> models.Operation:
    return operations.reserve(
        wallet=row.wallet,
        grant=None,
        quote=None,
        kind=kind,
        reference="0x" + secrets.token_hex(16),
        intent={**intent, "exit_id": str(row.pk)},
        spend_units=0,
        now=now,
    )


def _submit(operation: models.Operation, *, now: datetime.datetime) -> None:
    try:
        operations.submit(operation_id=operation.pk, now=now)
    except (operations.UnableToSubmit, errors.Unreachable) as error:
        logger.info("an operation waits: operation=%s reason=%s", operation.pk, error)


def _live(*, row: models.CustodyExit, kind: Kind) -> bool:
    mine = models.Operation.objects.filter(wallet_id=row.wallet_id, kind=kind, intent__exit_id=str(row.pk))
    return mine.exclude(state=models.Operation.State.FAILED).exists()


def _enqueue(*, row: models.CustodyExit, run_at: datetime.datetime) -> None:
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


def _ready_at(*, outcome: outcomes.Outcome) -> datetime.datetime | None:
    for log in outcome.receipt.logs if outcome.receipt is not None else ():
        if log.topics and log.topics[0] == _EXIT_ANNOUNCED:
            seconds = words.read_uint(bytes.fromhex(log.data[2:]), 0)
            return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    return None
