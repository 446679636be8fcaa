"""A customer leaves custody: their account's next owner is a key that they hold.

`ask` announces it on the chain, at once or, to keep the utility as guardian, once that has been one for 48 hours. 48
hours later, when anybody may, the job `wallets.carry_out_exit` runs `carry_out`. The customer calls it off with
`cancel` until then. What happens on the chain without us, an exit carried out or called off with the customer's own
key, is read before anything is sent; what becomes of it is followed by `follow_exit`.
"""

import datetime
import logging
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from contracts.bindings import words
from controls import models as controls_models
from controls import operations as controls
from controls import queries as controls_queries
from custody import operations as custody
from custody.domain import consents
from customers import models as customer_models
from openvpp.core import db, errors
from wallets import models, operations
from wallets.adapters import chain
from wallets.domain import new_owners
from wallets.usecases import check_owner, follow_exit, keep_guardian, tell_control

logger = logging.getLogger(__name__)

State = models.CustodyExit.State
Kind = models.Operation.Kind
LOOK_AGAIN_AFTER = datetime.timedelta(hours=1)


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
    keeps_guardian: bool = False,
) -> models.CustodyExit:
    """Announce that the account of a customer's wallet goes to a key that they hold, 48 hours from the announcement.

    The key is checked against lists like a payee. It is enrolled as the customer's key if there is none yet. To keep
    the utility as guardian it is appointed first, and the exit announced 48 hours later.

    :raises UnableToLeaveCustody: `left_already`, `exit_open`, `wallet_frozen`, or `no_guardian` to keep.
    :raises check_owner.UnableToTakeOwner: `owner_is_contract` or `owner_is_ours`.
    :raises controls.UnableToPass: the key's address is listed.
    :raises controls.UnableToCheckYet: nobody can say whether it is.
    :raises errors.Unreachable: node or signer did not answer.
    """
    exit_id = uuid.uuid4()
    _require_possible(wallet=wallet)
    state = _read_custodial(wallet=wallet)
    guardian = keep_guardian.get_guardian(utility_id=wallet.utility_id) if keeps_guardian else None
    if keeps_guardian and guardian is None:
        raise UnableToLeaveCustody("Your utility guards no accounts.", code="no_guardian")
    check_owner.require_customers(wallet=wallet, owner=owner.address)
    check_owner.screen(wallet=wallet, owner=owner.address, reference=f"exit:{exit_id}", now=now)
    terms = {"type": consents.EXIT, "wallet": wallet.address, "new_owner": owner.address, "exit_id": str(exit_id)}
    kept = {"keeps_guardian": True} if keeps_guardian else {}
    custody.record_consent(key_id=wallet.owner_key_id, terms={**terms, **kept}, now=now)
    with db.transaction():
        wallet = follow_exit.lock(wallet)
        _require_possible(wallet=wallet)
        row: models.CustodyExit = models.CustodyExit.objects.create(
            pk=exit_id,
            wallet=wallet,
            new_owner=owner.address,
            passkey=owner.passkey,
            keeps_guardian=keeps_guardian,
            state=State.APPOINTING if keeps_guardian else State.ASKED,
            asked_by=user,
            change=change,
            created_at=now,
        )
        if guardian is not None:
            operation = keep_guardian.begin(row=row, guardian=guardian, now=now)
        else:
            operation = _reserve_announcement(row=row, state=state, now=now)
    if operation is not None:
        _submit(operation, now=now)
    return row


@db.durable
def announce(*, exit_id: str, now: datetime.datetime) -> None:
    """Announce an exit whose guardian has been one for 48 hours; safe to run twice.

    A key that is listed by now gets no announcement.

    :raises errors.Unreachable: node, signer or screener did not answer.
    """
    row = models.CustodyExit.objects.select_related("wallet__utility").get(pk=exit_id)
    refusal = _find_refusal(row=row, now=now)
    state = chain.read_control(account=row.wallet.address, chain_id=row.wallet.chain_id)
    with db.transaction():
        follow_exit.lock(row.wallet)
        row = models.CustodyExit.objects.select_related("wallet__utility").get(pk=exit_id)
        if row.state != State.APPOINTING:
            return
        if refusal:
            follow_exit.close(row=row, state=State.FAILED, failure=refusal, now=now)
            return
        row.state = State.ASKED
        row.save(update_fields=["state"])
        operation = _reserve_announcement(row=row, state=state, now=now)
    _submit(operation, now=now)


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
        kept = change.after.get("keeps_guardian") is True
        ask(wallet=wallet, owner=owner, user=change.maker, change=change, keeps_guardian=kept, now=now)
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
        follow_exit.lock(wallet)
        row: models.CustodyExit | None = models.CustodyExit.objects.filter(
            wallet=wallet, state__in=models.CustodyExit.OPEN_STATES
        ).first()
        if row is None:
            raise UnableToLeaveCustody("No exit is announced.", code="no_exit")
        if row.state == State.CANCELLING:
            return row
        if row.state == State.APPOINTING:
            follow_exit.close(row=row, state=State.CANCELLED, failure="", now=now)
            return row
        if row.state == State.ASKED:
            raise UnableToLeaveCustody(
                "The announcement is still on its way to the chain. Try again in a minute.", code="exit_not_announced"
            )
        if _live(row=row, kind=Kind.EXIT):
            raise UnableToLeaveCustody("The exit is being carried out.", code="exit_under_way")
        operation = _call_off(row=row, reason="", now=now)
    _submit(operation, now=now)
    return row


@db.durable
def carry_out(*, exit_id: str, now: datetime.datetime) -> None:
    """Carry out an exit that is ripe, or learn from the chain what became of it; safe to run twice.

    While the wallet is frozen it waits, and looks again every hour. If wallet or key are listed by now our announcement
    is called off; the customer's own, which nobody else stops, waits too.

    :raises errors.Unreachable: node, signer, price source or screener did not answer.
    """
    row = models.CustodyExit.objects.select_related("wallet__utility", "wallet__customer").get(pk=exit_id)
    if row.state != State.ANNOUNCED:
        return
    is_ripe = row.ready_at is not None and row.ready_at <= now
    refusal = _find_refusal(row=row, now=now) if is_ripe else ""
    state = chain.read_control(account=row.wallet.address, chain_id=row.wallet.chain_id)
    with db.transaction():
        wallet = follow_exit.lock(row.wallet)
        row = models.CustodyExit.objects.select_related("wallet__utility", "wallet__customer").get(pk=exit_id)
        if row.state != State.ANNOUNCED or _live(row=row, kind=Kind.EXIT):
            return
        if state is not None and state.is_self_custodied:
            follow_exit.complete(row=row, owner=words.checksummed(state.owner), now=now)
            return
        if state is None or state.announced is None or words.checksummed(state.announced.owner) != row.new_owner:
            follow_exit.close(
                row=row, state=State.CANCELLED, failure="It was called off with the customer's own key.", now=now
            )
            return
        row.ready_at = datetime.datetime.fromtimestamp(state.announced.ready_at, tz=datetime.UTC)
        row.save(update_fields=["ready_at"])
        if row.ready_at > now:
            follow_exit.enqueue(row=row, run_at=row.ready_at)
            return
        if refusal:
            operation = _hold(row=row, reason=refusal, is_customers=state.announced.is_customers, now=now)
        else:
            operation = _go(row=row, wallet=wallet, now=now)
    if operation is not None:
        _submit(operation, now=now)


def _go(*, row: models.CustodyExit, wallet: models.Wallet, now: datetime.datetime) -> models.Operation | None:
    tell_control.tell(wallet=wallet, what="ready", key=str(row.pk), new_owner=row.new_owner, now=now)
    if controls_queries.get_freeze(account=wallet.address, chain_id=wallet.chain_id) is not None:
        follow_exit.enqueue(row=row, run_at=now + LOOK_AGAIN_AFTER)
        return None
    return _reserve(row=row, kind=Kind.EXIT, intent={}, now=now)


def _find_refusal(*, row: models.CustodyExit, now: datetime.datetime) -> str:
    """Return why wallet or key are not let through by now; empty when they are."""
    try:
        check_owner.screen(wallet=row.wallet, owner=str(row.new_owner), reference=f"exit:{row.pk}", now=now)
    except controls.UnableToPass as error:
        return error.detail
    except controls.UnableToCheckYet as error:
        raise errors.Unreachable(error.detail) from error
    return ""


def _hold(
    *, row: models.CustodyExit, reason: str, is_customers: bool, now: datetime.datetime
) -> models.Operation | None:
    """Call an exit off that may not happen, or, where only the customer can, look again in an hour."""
    logger.error("an exit is held: exit=%s reason=%s", row.pk, reason)
    tell_control.tell(wallet=row.wallet, what="held", key=str(row.pk), reason=reason, now=now)
    if is_customers:
        follow_exit.enqueue(row=row, run_at=now + LOOK_AGAIN_AFTER)
        return None
    return _call_off(row=row, reason=reason, now=now)


def _call_off(*, row: models.CustodyExit, reason: str, now: datetime.datetime) -> models.Operation:
    row.state, row.failure = State.CANCELLING, reason[:500]
    row.save(update_fields=["state", "failure"])
    return _reserve(row=row, kind=Kind.CANCEL_EXIT, intent={}, now=now)


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


def _reserve_announcement(
    *, row: models.CustodyExit, state: chain.ControlState | None, now: datetime.datetime
) -> models.Operation:
    enrols = state is None or state.customer == words.ZERO_ADDRESS
    intent = {"owner": row.new_owner, "enrols": enrols, "keeps_guardian": row.keeps_guardian}
    return _reserve(row=row, kind=Kind.ANNOUNCE_EXIT, intent=intent, now=now)


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
