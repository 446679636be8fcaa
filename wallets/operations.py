"""What other apps may ask of wallets: to open one, to reserve an operation, to send it."""

import datetime
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Case, F, Q, Value, When

from contracts import deployments
from contracts.bindings import user_operations, words
from controls import operations as controls
from custody import models as custody_models
from custody import operations as custody
from custody import queries as custody_queries
from customers import models as customer_models
from openvpp.core import db, errors, fields, upcalls
from relayer import models as relayer_models
from relayer import operations as relayer
from wallets import models, queries
from wallets.adapters import submission
from wallets.domain import grant_period, limits, operation_states, outcome
from wallets.domain import prepared as prepared_operations

State = models.Operation.State
GrantState = models.SessionKeyGrant.State
SEND_WITHIN = datetime.timedelta(minutes=5)
SIGN_WITHIN = datetime.timedelta(minutes=2)
SUBMIT_LEASE = datetime.timedelta(seconds=30)
MOST_ATTEMPTS = 100
WITHDRAWN = "The permission to pay was withdrawn before the operation could be sent."


@db.durable
def open_wallet(*, customer_id: int, now: datetime.datetime) -> models.Wallet:
    """Make a customer's wallet; it is deployed with its first operation. A customer who has one keeps it.

    :raises errors.Unreachable: the signer did not answer.
    """
    customer = customer_models.Customer.objects.select_related("utility").get(pk=customer_id)
    return queries.get_wallet_of(customer) or _open(
        utility=customer.utility,
        subject=f"wallet:customer:{customer_id}",
        purpose=custody_models.SealedKey.Purpose.WALLET_OWNER,
        policy={"payee": customer.utility.treasury_address},
        row={"kind": models.Wallet.Kind.CUSTOMER, "customer": customer},
        now=now,
    )


@db.durable
def open_treasury_wallet(*, utility_id: int, label: str, now: datetime.datetime) -> models.Wallet:
    """Make a wallet from which a utility pays a program's participants; the same one for the same label.

    :raises errors.Unreachable: the signer did not answer.
    """
    utility = customer_models.Utility.objects.get(pk=utility_id)
    payouts = deployments.load(chain_id=utility.chain_id).payouts
    return _open(
        utility=utility,
        subject=f"wallet:treasury:{utility_id}:{label}",
        purpose=custody_models.SealedKey.Purpose.TREASURY_OWNER,
        policy={"payouts": words.checksummed(payouts), "caps": queries.get_first_caps(utility=utility)},
        row={"kind": models.Wallet.Kind.TREASURY, "label": label},
        now=now,
    )


class UnableToReserve(errors.UnableTo):
    """The grant does not allow it; `code` says which of its limits stands against it."""


@db.transaction_required
def reserve(
    *,
    wallet: models.Wallet,
    grant: models.SessionKeyGrant | None,
    quote: relayer_models.FeeQuote | None,
    kind: models.Operation.Kind,
    reference: str,
    intent: Mapping[str, Any],
    spend_units: int,
    now: datetime.datetime,
) -> models.Operation:
    """Write an operation that is to be sent, and count `spend_units` against the grant's limits.

    Without a quote the utility pays the network fee, whatever it is when the operation is sent.

    :raises UnableToReserve: the grant is another wallet's, not alive, not started, expired, or a limit stands against
        it: nothing is written.
    :raises controls.RefusedByPolicy: a spending policy of the utility, program or customer refuses it, or the wallet is
        frozen.
    """
    period_started_at = None
    if grant is not None:
        period_started_at = _count(wallet=wallet, grant=grant, spend_units=spend_units, now=now)
    if kind in queries.SPENDING:
        case = queries.get_spending_case(wallet=wallet, kind=kind, intent=intent, spend_units=spend_units, now=now)
        controls.require_allowed(layers=case.layers, request=case.request, facts=case.facts)
    operation: models.Operation = models.Operation.objects.create(
        wallet=wallet,
        grant=grant,
        quote=quote,
        kind=kind,
        reference=reference,
        intent=dict(intent),
        spend_units=spend_units,
        spend_period_started_at=period_started_at,
        created_at=now,
        updated_at=now,
    )
    models.OperationTransition.objects.create(operation=operation, state=operation.state, made_at=now)
    return operation


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
    try:
        _screen(operation=operation, now=now)
        signed = submission.prepare(operation=operation, expires_at=now + SEND_WITHIN)
    except controls.UnableToCheckYet as error:
        _release(operation_id=operation_id, leased_until=leased_until, counted=1)
        raise UnableToSubmit(error.detail, code=error.code) from error
    except (errors.UnableTo, errors.Refused) as error:
        _give_up(operation_id=operation_id, leased_until=leased_until, reason=str(error), now=now)
        return
    except errors.Unreachable:
        _release(operation_id=operation_id, leased_until=leased_until, counted=1)
        raise
    except Exception:
        _release(operation_id=operation_id, leased_until=leased_until, counted=0)
        raise
    _go_on(operation_id=operation_id, leased_until=leased_until, prepared=signed, now=now)


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
    if _end_if_withdrawn(operation=operation, now=now):
        return
    _require_free_wallet(operation)
    operation.user_operation = relayer.queue(
        operation=signed,
        quote=operation.quote,
        utility_id=operation.wallet.utility_id,
        chain_id=operation.wallet.chain_id,
        expires_at=expires_at,
        now=now,
    )
    move(operation=operation, state=State.QUEUED, detail="", now=now)
    _move_grant(operation=operation, before=GrantState.PENDING, after=GrantState.INSTALLING)


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


class UnableToMoveOperation(errors.UnableTo):
    """An operation does not go from the state that it is in to that one."""


@db.transaction_required
def move(*, operation: models.Operation, state: State, detail: str, now: datetime.datetime) -> None:
    """Move a locked operation to another state and write it into its history.

    :raises UnableToMoveOperation: the state machine has no such step.
    """
    before = operation_states.State(operation.state)
    if not operation_states.may_go(before=before, after=operation_states.State(state)):
        raise UnableToMoveOperation(f"Operation {operation.pk} is {before} and cannot become {state}.")
    operation.state = state
    operation.leased_until = None
    operation.updated_at = now
    operation.save(update_fields=["state", "leased_until", "updated_at", "failure", "user_operation"])
    models.OperationTransition.objects.create(operation=operation, state=state, detail=detail[:500], made_at=now)


@db.transaction_required
def end(*, operation: models.Operation, result: outcome.Outcome, now: datetime.datetime) -> None:
    """Move a locked operation to its end, give back what was reserved if it failed, and tell the app that asked.

    :raises UnableToMoveOperation: it has ended before.
    """
    operation.failure = "" if result.succeeded else result.reason[:500]
    state = State.SUCCEEDED if result.succeeded else State.FAILED
    move(operation=operation, state=state, detail=operation.failure, now=now)
    _settle_wallet(operation=operation, was_included=result.receipt is not None, now=now)
    if not result.succeeded and operation.grant_id is not None:
        _give_back(operation=operation, grant_id=operation.grant_id)
    upcalls.call(event=f"operation.{operation.kind}", outcome=result, now=now)


@db.transaction
def _lease(*, operation_id: uuid.UUID, now: datetime.datetime) -> tuple[models.Operation, datetime.datetime] | None:
    operation = queries.lock_operation(operation_id=operation_id)
    _require_unsent(operation)
    if operation.leased_until is not None and operation.leased_until >= now:
        raise UnableToSubmit("The operation is being sent.", code="being_submitted")
    reason = _never(operation=operation, now=now)
    if reason:
        end(operation=operation, result=operation.ended(succeeded=False, reason=reason, receipt=None), now=now)
        return None
    _require_free_wallet(operation)
    operation.leased_until = now + SUBMIT_LEASE
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
    return queries.get_freeze_reason(operation=operation)


def _require_unsent(operation: models.Operation) -> None:
    if operation.state != State.RESERVED:
        raise UnableToSubmit(f"The operation is {operation.state} already.", code="already_submitted")


def _require_free_wallet(operation: models.Operation) -> None:
    models.Wallet.objects.select_for_update(no_key=True).get(pk=operation.wallet_id)
    if models.Operation.objects.filter(wallet_id=operation.wallet_id, state__in=operation_states.IN_FLIGHT).exists():
        raise UnableToSubmit("Another operation of this wallet is on its way; this one follows it.", code="wallet_busy")


def _release(*, operation_id: uuid.UUID, leased_until: datetime.datetime, counted: int) -> None:
    """Give the lease back; an attempt that reached nobody is not counted."""
    leased = models.Operation.objects.filter(pk=operation_id, leased_until=leased_until)
    leased.update(leased_until=None, attempts=F("attempts") - counted)


@db.transaction
def _go_on(
    *,
    operation_id: uuid.UUID,
    leased_until: datetime.datetime,
    prepared: user_operations.UserOperation,
    now: datetime.datetime,
) -> None:
    operation = queries.lock_operation(operation_id=operation_id)
    _require_unsent(operation)
    if operation.leased_until != leased_until:
        raise UnableToSubmit("Another process is sending the operation.", code="being_submitted")
    if prepared.signature:
        queue(operation=operation, signed=prepared, expires_at=now + SEND_WITHIN, now=now)
    elif not _end_if_withdrawn(operation=operation, now=now):
        models.SignatureRequest.objects.create(
            operation=operation,
            user_operation=prepared_operations.to_json(prepared),
            user_operation_hash="0x" + submission.hash_of(prepared, chain_id=operation.wallet.chain_id).hex(),
            sign_by=now + SIGN_WITHIN,
            lands_by=now + SEND_WITHIN,
        )
        move(operation=operation, state=State.AWAITING_SIGNATURE, detail="", now=now)


def _end_if_withdrawn(*, operation: models.Operation, now: datetime.datetime) -> bool:
    if operation.grant_id is None:
        return False
    grant = queries.lock_grant(grant_id=operation.grant_id)
    if grant.is_live(now=now):
        return False
    end(operation=operation, result=operation.ended(succeeded=False, reason=WITHDRAWN, receipt=None), now=now)
    return True


@db.transaction
def _give_up(*, operation_id: uuid.UUID, leased_until: datetime.datetime, reason: str, now: datetime.datetime) -> None:
    operation = queries.lock_operation(operation_id=operation_id)
    _require_unsent(operation)
    if operation.leased_until != leased_until:
        raise UnableToSubmit("Another process is sending the operation.", code="being_submitted")
    end(operation=operation, result=operation.ended(succeeded=False, reason=reason, receipt=None), now=now)


def _open(
    *,
    utility: customer_models.Utility,
    subject: str,
    purpose: custody_models.SealedKey.Purpose,
    policy: Mapping[str, Any],
    row: Mapping[str, Any],
    now: datetime.datetime,
) -> models.Wallet:
    key = _owner_key(
        purpose=purpose,
        subject=subject,
        policy={"chain_id": utility.chain_id, "salt": "0x" + secrets.token_hex(32), **policy},
    )
    made = models.Wallet(
        id=uuid.uuid4(),
        utility=utility,
        chain_id=utility.chain_id,
        owner_key_id=key.pk,
        salt=key.policy["salt"],
        address=key.policy["account"],
        created_at=now,
        **row,
    )
    models.Wallet.objects.bulk_create([made], ignore_conflicts=True)
    wallet: models.Wallet = models.Wallet.objects.select_related("utility").get(owner_key_id=key.pk)
    return wallet


def _owner_key(
    *, purpose: custody_models.SealedKey.Purpose, subject: str, policy: Mapping[str, Any]
) -> custody_models.SealedKey:
    # The salt is random: whoever comes second takes the key, and the salt sealed with it, of whoever came first.
    try:
        return custody_queries.get_key_of(subject=subject)
    except custody_queries.UnableToFindKey:
        pass
    try:
        return custody.create_key(purpose=purpose, subject=subject, policy=policy)
    except custody.UnableToCreateKey:
        return custody_queries.get_key_of(subject=subject)


def _count(
    *, wallet: models.Wallet, grant: models.SessionKeyGrant, spend_units: int, now: datetime.datetime
) -> datetime.datetime:
    if grant.wallet_id != wallet.pk:
        raise UnableToReserve("This app's permission is for another wallet.", code="grant_of_another_wallet")
    if now < grant.starts_at:
        raise UnableToReserve("This app's permission to pay has not started.", code="grant_not_started")
    started_at = grant_period.started_at(starts_at=grant.starts_at, period_seconds=grant.period_seconds, now=now)
    spend = _units(spend_units)
    taken = (
        models.SessionKeyGrant.objects.filter(
            pk=grant.pk, state__in=models.SessionKeyGrant.LIVE_STATES, ends_at__gt=now
        )
        .filter(limit_per_payment_units__gte=spend_units)
        .filter(reserved_total_units__lte=F("limit_total_units") - spend)
        .filter(
            Q(period_started_at=started_at, reserved_in_period_units__lte=F("limit_per_period_units") - spend)
            | Q(period_started_at__lt=started_at, limit_per_period_units__gte=spend_units)
        )
        .update(
            reserved_in_period_units=Case(
                When(period_started_at=started_at, then=F("reserved_in_period_units") + spend),
                default=spend,
                output_field=fields.Uint256Field(),
            ),
            reserved_total_units=F("reserved_total_units") + spend,
            period_started_at=started_at,
        )
    )
    if taken != 1:
        grant.refresh_from_db()
        raise _refusal(grant=grant, spend_units=spend_units, period_started_at=started_at, now=now)
    return started_at


def _refusal(
    *, grant: models.SessionKeyGrant, spend_units: int, period_started_at: datetime.datetime, now: datetime.datetime
) -> UnableToReserve:
    if grant.ends_at <= now or grant.state == GrantState.EXPIRED:
        return UnableToReserve(
            "This app's permission to pay has expired. Agree to it again in the app.",
            code="grant_expired",
            extra={"expired_at": grant.ends_at.isoformat()},
        )
    if grant.state not in models.SessionKeyGrant.LIVE_STATES:
        return UnableToReserve(
            "This app's permission to pay was withdrawn. Agree to it again in the app.",
            code="grant_not_active",
            extra={"grant_state": grant.state},
        )
    limit = limits.first_against(spend_units=spend_units, limits=grant.limits(period_started_at=period_started_at))
    if limit is not None:
        return UnableToReserve(
            f"This is more than the limit {limit.words} that you agreed to.",
            code=limit.code,
            extra={
                "needed_units": str(spend_units),
                "limit_units": str(limit.limit_units),
                "left_units": str(limit.left_units),
            },
        )
    return UnableToReserve("Another payment was counted at the same moment. Try again.", code="grant_busy")


def _settle_wallet(*, operation: models.Operation, was_included: bool, now: datetime.datetime) -> None:
    # An account is deployed and a session installed before the call is made, so that both stay when the call fails.
    after = GrantState.ACTIVE if was_included else GrantState.PENDING
    _move_grant(operation=operation, before=GrantState.INSTALLING, after=after)
    if was_included:
        models.Wallet.objects.filter(pk=operation.wallet_id, deployed_at__isnull=True).update(deployed_at=now)


def _move_grant(*, operation: models.Operation, before: GrantState, after: GrantState) -> None:
    if operation.grant_id is not None:
        models.SessionKeyGrant.objects.filter(pk=operation.grant_id, state=before).update(state=after)


def _give_back(*, operation: models.Operation, grant_id: uuid.UUID) -> None:
    spend = _units(operation.spend_units)
    given = models.SessionKeyGrant.objects.filter(pk=grant_id, reserved_total_units__gte=operation.spend_units).update(
        reserved_total_units=F("reserved_total_units") - spend,
        reserved_in_period_units=Case(
            When(
                period_started_at=operation.spend_period_started_at,
                then=F("reserved_in_period_units") - spend,
            ),
            default=F("reserved_in_period_units"),
            output_field=fields.Uint256Field(),
        ),
    )
    if given != 1:
        raise UnableToMoveOperation(f"Operation {operation.pk} gives back more than its grant had reserved.")


def _units(units: int) -> Value:
    return Value(units, output_field=fields.Uint256Field())


@db.transaction_required
def end_data_access(*, authorization_id: uuid.UUID, now: datetime.datetime) -> None:
    """End every token and code that came of a person's leave to have their data."""
    carries = {"scope__contains": f"Authorization={authorization_id}"}
    families = models.RefreshToken.objects.filter(
        access_token__in=models.AccessToken.objects.filter(**carries)
    ).values_list("token_family", flat=True)
    models.RefreshToken.objects.filter(token_family__in=list(families), revoked__isnull=True).update(
        revoked=now, updated=now
    )
    models.AccessToken.objects.filter(**carries).delete()
    models.Grant.objects.filter(**carries).delete()
