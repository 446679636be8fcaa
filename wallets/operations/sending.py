"""Sending an operation: built, sponsored, signed and queued under a lease."""

import dataclasses
import datetime
import uuid

from django.db.models import F

from contracts.bindings import user_operations, words
from controls import operations as controls
from openvpp.core import db, errors, sql
from relayer import operations as relayer
from wallets import models, queries
from wallets.adapters import submission
from wallets.domain import account_state
from wallets.domain import prepared as prepared_operations
from wallets.operations import ending, reserving

State = models.Operation.State
GrantState = models.SessionKeyGrant.State
SEND_WITHIN = datetime.timedelta(minutes=5)
SIGN_WITHIN = datetime.timedelta(minutes=2)
MOST_ATTEMPTS = 100
# Whoever sends again after a killed process need not wait long, and a slow one gets more time with each attempt: only
# the last that took the lease can queue.
FIRST_LEASE = datetime.timedelta(seconds=4)
WITHDRAWN = "The permission to pay was withdrawn before the operation could be sent."


class UnableToSubmit(errors.UnableTo):
    """It is not to be sent, or not now."""


@db.durable
def submit(*, operation_id: uuid.UUID, now: datetime.datetime) -> None:
    """Build, sponsor, sign and queue a reserved operation; one that can never be sent is ended as failed.

    Where the customer's phone keeps the key, what it is to sign is written down for it, and it is queued when the
    signature comes.

    Safe to run twice and by several at once: a lease admits one, and only what is still reserved is queued.

    :raises UnableToSubmit: `already_submitted`, `being_submitted`, `wallet_busy` while another operation of the wallet
        is on its way, or `screening_held` while nobody can say whether an address is listed.
    :raises errors.Unreachable: node, signer or price source did not answer; the operation stays reserved.
    """
    lease = _lease(operation_id=operation_id, now=now)
    if lease is None:
        return
    operation, leased_until = lease
    _send(operation=operation, leased_until=leased_until, now=now)


@db.durable
def submit_reserved(
    *, operation: models.Operation, now: datetime.datetime, account: account_state.AccountState | None = None
) -> None:
    """Do the same for an operation that was reserved a moment ago to be sent at once; its state is that of its row.

    `account` is what the chain said of its wallet since `now`, if it was asked.

    :raises UnableToSubmit: as `submit`.
    :raises errors.Unreachable: as `submit`.
    """
    if operation.leased_until is None:
        raise _busy()
    _send(operation=operation, leased_until=operation.leased_until, now=now, account=account)


def _send(
    *,
    operation: models.Operation,
    leased_until: datetime.datetime,
    now: datetime.datetime,
    account: account_state.AccountState | None = None,
) -> None:
    try:
        _screen(operation=operation, now=now)
        signed = submission.prepare(operation=operation, expires_at=now + SEND_WITHIN, account=account)
    except controls.UnableToCheckYet as error:
        _release(operation_id=operation.pk, leased_until=leased_until, counted=1)
        raise UnableToSubmit(error.detail, code=error.code) from error
    except (errors.UnableTo, errors.Refused) as error:
        _give_up(operation=operation, leased_until=leased_until, reason=str(error), now=now)
        return
    except errors.Unreachable:
        _release(operation_id=operation.pk, leased_until=leased_until, counted=1)
        raise
    except Exception:
        _release(operation_id=operation.pk, leased_until=leased_until, counted=0)
        raise
    _go_on(operation=operation, leased_until=leased_until, prepared=signed, now=now)


@db.transaction_required
def queue(
    *,
    operation: models.Operation,
    signed: user_operations.UserOperation,
    expires_at: datetime.datetime,
    now: datetime.datetime,
) -> None:
    """Hand a locked operation's signed user operation to the relayer, or end it if its permission was withdrawn.

    `expires_at` is what the sponsor signed for.

    :raises UnableToSubmit: `wallet_busy` while another operation of the wallet is on its way.
    """
    _queue(operation=operation, standing=_lock(operation), signed=signed, expires_at=expires_at, now=now)


def _queue(
    *,
    operation: models.Operation,
    standing: "_Standing",
    signed: user_operations.UserOperation,
    expires_at: datetime.datetime,
    now: datetime.datetime,
) -> None:
    if _end_if_withdrawn(operation=operation, standing=standing, now=now):
        return
    _require_free_wallet(operation, on_their_way=standing.on_their_way)
    operation.user_operation = relayer.queue(
        operation=signed,
        quote=operation.quote,
        utility_id=operation.wallet.utility_id,
        chain_id=operation.wallet.chain_id,
        expires_at=expires_at,
        now=now,
    )
    ending.move(operation=operation, state=State.QUEUED, detail="", now=now)
    if standing.grant_state == GrantState.PENDING:
        ending.move_grant(operation=operation, before=GrantState.PENDING, after=GrantState.INSTALLING)


def _screen(*, operation: models.Operation, now: datetime.datetime) -> None:
    """Check whom an operation pays, and who pays."""
    if operation.kind in queries.SPENDING:
        controls.screen(
            utility_id=operation.wallet.utility_id,
            direction="payout",
            reference=f"operation:{operation.pk}",
            addresses=[operation.wallet.address, *queries.get_payees(operation.intent)],
            now=now,
        )


@db.transaction
def _lease(*, operation_id: uuid.UUID, now: datetime.datetime) -> tuple[models.Operation, datetime.datetime] | None:
    operation = queries.lock_operation(operation_id=operation_id)
    _require_unsent(operation)
    if operation.leased_until is not None and operation.leased_until >= now:
        raise UnableToSubmit("The operation is being sent.", code="being_submitted")
    reason = _never(operation=operation, now=now)
    if reason:
        ending.end(operation=operation, result=operation.ended(succeeded=False, reason=reason, receipt=None), now=now)
        return None
    on_their_way = reserving.ask_what_is_on_its_way(wallet_id=operation.wallet_id)
    _WALLET.all(wallet_id=operation.wallet_id)
    _require_free_wallet(operation, on_their_way=on_their_way)
    operation.leased_until = now + min(FIRST_LEASE * 2 ** min(operation.attempts, 3), reserving.SUBMIT_LEASE)
    operation.attempts += 1
    operation.save(update_fields=["leased_until", "attempts"])
    return operation, operation.leased_until


def _never(*, operation: models.Operation, now: datetime.datetime) -> str:
    if operation.quote is not None and operation.quote.expires_at <= now:
        return "The quoted network fee expired before the operation could be sent."
    if operation.grant is not None and operation.grant.state not in models.SessionKeyGrant.LIVE_STATES:
        return WITHDRAWN
    if operation.attempts >= MOST_ATTEMPTS:
        return f"It could not be sent in {MOST_ATTEMPTS} attempts."
    return queries.get_treasury_reason(operation=operation) or queries.get_freeze_reason(operation=operation)


def _require_unsent(operation: models.Operation) -> None:
    if operation.state != State.RESERVED:
        raise UnableToSubmit(f"The operation is {operation.state} already.", code="already_submitted")


def _require_free_wallet(operation: models.Operation, /, *, on_their_way: sql.Question) -> None:
    """Refuse a second operation of a locked wallet. A removal waits only until there is an account to remove from."""
    if operation.kind == models.Operation.Kind.REVOKE_SESSION and operation.wallet.deployed_at is not None:
        return
    if on_their_way.all():
        raise _busy()


def _busy() -> UnableToSubmit:
    return UnableToSubmit("Another operation of this wallet is on its way; this one follows it.", code="wallet_busy")


def _release(*, operation_id: uuid.UUID, leased_until: datetime.datetime, counted: int) -> None:
    """Give the lease back; an attempt that reached nobody is not counted."""
    leased = models.Operation.objects.filter(pk=operation_id, leased_until=leased_until)
    leased.update(leased_until=None, attempts=F("attempts") - counted)


@db.transaction
def _go_on(
    *,
    operation: models.Operation,
    leased_until: datetime.datetime,
    prepared: user_operations.UserOperation,
    now: datetime.datetime,
) -> None:
    standing = _lock_again(operation=operation, leased_until=leased_until)
    if prepared.signature:
        _queue(operation=operation, standing=standing, signed=prepared, expires_at=now + SEND_WITHIN, now=now)
    elif not _end_if_withdrawn(operation=operation, standing=standing, now=now):
        models.SignatureRequest.objects.create(
            operation=operation,
            user_operation=prepared_operations.to_json(prepared),
            user_operation_hash="0x" + submission.hash_of(prepared, chain_id=operation.wallet.chain_id).hex(),
            sign_by=now + SIGN_WITHIN,
            lands_by=now + SEND_WITHIN,
        )
        ending.move(operation=operation, state=State.AWAITING_SIGNATURE, detail="", now=now)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What decides whether an operation may go, as it is under the locks of operation, grant and wallet."""

    state: str
    leased_until: datetime.datetime | None
    treasury: str
    grant_state: str | None
    grant_ends_at: datetime.datetime | None
    on_their_way: sql.Question


def _lock(operation: models.Operation, /) -> _Standing:
    """Lock an operation, its grant and its wallet until the transaction ends: one of a wallet is queued at a time."""
    on_their_way = reserving.ask_what_is_on_its_way(wallet_id=operation.wallet_id)
    statement = _LOCK if operation.grant_id is None else _LOCK_WITH_GRANT
    ((state, leased_until, treasury, grant_state, ends_at),) = sql.fetch(statement, [operation.pk])
    return _Standing(
        state=state,
        leased_until=leased_until,
        treasury=words.checksummed(treasury),
        grant_state=grant_state,
        grant_ends_at=ends_at,
        on_their_way=on_their_way,
    )


_LOCK = """
    SELECT operation.state, operation.leased_until, utility.treasury_address, NULL, NULL
    FROM wallets_operation AS operation
    JOIN wallets_wallet AS wallet ON wallet.id = operation.wallet_id
    JOIN customers_utility AS utility ON utility.id = wallet.utility_id
    WHERE operation.id = %s
    FOR NO KEY UPDATE OF operation, wallet
"""
_LOCK_WITH_GRANT = """
    SELECT operation.state, operation.leased_until, utility.treasury_address, leave.state, leave.ends_at
    FROM wallets_operation AS operation
    JOIN wallets_sessionkeygrant AS leave ON leave.id = operation.grant_id
    JOIN wallets_wallet AS wallet ON wallet.id = operation.wallet_id
    JOIN customers_utility AS utility ON utility.id = wallet.utility_id
    WHERE operation.id = %s
    FOR NO KEY UPDATE OF operation, leave, wallet
"""


def _lock_again(*, operation: models.Operation, leased_until: datetime.datetime) -> _Standing:
    """Lock an operation that was read before, and see that it is still ours to send."""
    standing = _lock(operation)
    operation.state = standing.state
    _require_unsent(operation)
    if standing.leased_until != leased_until:
        raise UnableToSubmit("Another process is sending the operation.", code="being_submitted")
    return standing


def _end_if_withdrawn(*, operation: models.Operation, standing: _Standing, now: datetime.datetime) -> bool:
    if operation.grant_id is None:
        return False
    is_live = standing.grant_state in models.SessionKeyGrant.LIVE_STATES
    is_live = is_live and standing.grant_ends_at is not None and now < standing.grant_ends_at
    reason = queries.moved_treasury(operation=operation, treasury=standing.treasury)
    if is_live and not reason:
        return False
    failed = operation.ended(succeeded=False, reason=reason or WITHDRAWN, receipt=None)
    ending.end(operation=operation, result=failed, now=now)
    return True


@db.transaction
def _give_up(
    *, operation: models.Operation, leased_until: datetime.datetime, reason: str, now: datetime.datetime
) -> None:
    _lock_again(operation=operation, leased_until=leased_until)
    ending.end(operation=operation, result=operation.ended(succeeded=False, reason=reason, receipt=None), now=now)


_WALLET = sql.Read(
    lambda: models.Wallet.objects.select_for_update(no_key=True).filter(pk=sql.Slot("wallet_id")).values_list("pk")
)
