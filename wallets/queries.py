"""Reading wallets, what they hold and what they did."""

import dataclasses
import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import models as db_models

from contracts.bindings import words
from controls import queries as controls
from controls.domain import conditions, spending
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors, sql
from wallets import models
from wallets.adapters import chain
from wallets.domain import account_state, client_keys, prepared


class UnableToFindWallet(errors.NotFound):
    """This person has no wallet yet, or none of this id."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a wallet holds of one token, in base units."""

    token: customer_models.AcceptedToken
    units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What a wallet holds: native coin in wei, and each token that its utility takes."""

    native_wei: int
    tokens: tuple[Balance, ...]


def get_wallets(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return a person's own wallets, one for each utility that they are a customer of."""
    return models.Wallet.objects.for_customer(user).select_related("utility", "customer").order_by("created_at", "pk")


def get_wallet(*, user: customer_models.User) -> models.Wallet:
    """Return a person's own wallet; the first, for a customer of several utilities.

    :raises UnableToFindWallet: there is none yet.
    """
    wallet: models.Wallet | None = get_wallets(user=user).first()
    if wallet is None:
        raise UnableToFindWallet(
            "You have no wallet yet. It is made moments after you claim an account.", code="wallet_not_found"
        )
    return wallet


def get_first_caps(*, utility: customer_models.Utility) -> list[dict[str, str]]:
    """Return how much of each token that pays bills a new treasury may pay a batch and a day; raised by two people."""
    tokens = customer_queries.get_bill_tokens(utility_id=utility.pk)
    return [
        {
            "token": token.address.lower(),
            "batch_units": str(settings.TREASURY_BATCH_CAP * 10**token.decimals),
            "day_units": str(settings.TREASURY_DAY_CAP * 10**token.decimals),
        }
        for token in tokens
    ]


_OWN_WALLETS = sql.Read(
    lambda: models.Wallet.objects.filter(
        customer__user=sql.Slot("user_id"), customer__utility=sql.Slot("utility_id")
    ).select_related("utility", "owner_key")
)


def get_wallet_at(*, user: customer_models.User, utility_id: int) -> models.Wallet | None:
    """Return a person's wallet at a utility, with the row of its owner's key, if it is made."""
    wallet: models.Wallet | None = _OWN_WALLETS.first(user_id=user.pk, utility_id=utility_id)
    return wallet


def get_wallet_of(customer: customer_models.Customer) -> models.Wallet | None:
    """Return a customer's wallet, if it is made."""
    wallet: models.Wallet | None = models.Wallet.objects.filter(customer=customer).select_related("utility").first()
    return wallet


@db.durable
def get_balances(*, wallet: models.Wallet) -> Balances:
    """Ask the chain what a wallet holds now.

    :raises errors.Unreachable: no node answered.
    """
    tokens = list(customer_models.AcceptedToken.objects.filter(utility_id=wallet.utility_id).order_by("symbol"))
    native_wei, held = chain.read_balances(
        holder=wallet.address, token_addresses=[token.address for token in tokens], chain_id=wallet.chain_id
    )
    return Balances(
        native_wei=native_wei,
        tokens=tuple(Balance(token=token, units=units) for token, units in zip(tokens, held, strict=True)),
    )


@db.durable
def get_units(*, address: str, tokens: Sequence[str], chain_id: int) -> list[int]:
    """Ask the chain what an address holds of each token now, in base units, in the same order.

    :raises errors.Unreachable: no node answered.
    """
    return get_payer(address=address, tokens=tokens, chain_id=chain_id)[1]


def get_payer(*, address: str, tokens: Sequence[str], chain_id: int) -> tuple[account_state.AccountState, list[int]]:
    """Ask the chain for a wallet's state now, and what it holds of each token.

    :raises errors.Unreachable: no node answered.
    """
    return chain.read_payer(address=address, token_addresses=tokens, chain_id=chain_id)


def get_activity(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return the operations of a person's own wallets."""
    return (
        models.Operation.objects.for_customer(user)
        .select_related("wallet__utility", "user_operation__bundle", "grant", "signature_request")
        .prefetch_related("history")
    )


class UnableToFindOperation(errors.NotFound):
    """There is no such operation, or it is not this person's."""


def get_operation(*, user: customer_models.User, operation_id: uuid.UUID) -> models.Operation:
    """Return one of a person's own operations, with its history.

    :raises UnableToFindOperation: none that they may know of.
    """
    operation: models.Operation | None = get_activity(user=user).filter(pk=operation_id).first()
    if operation is None:
        raise UnableToFindOperation("There is no such operation.", code="not_found")
    return operation


def get_unsigned_operations(*, now: datetime.datetime, most: int) -> list[uuid.UUID]:
    """Return operations that no phone will sign any more: the time is over, or the permission."""
    rows = models.Operation.objects.filter(state=models.Operation.State.AWAITING_SIGNATURE).filter(
        db_models.Q(signature_request__sign_by__lte=now)
        | ~db_models.Q(grant__state__in=models.SessionKeyGrant.LIVE_STATES)
    )
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:most])


class UnableToFindExit(errors.NotFound):
    """This person never asked to leave custody."""


def get_exit(*, user: customer_models.User) -> models.CustodyExit:
    """Return the latest exit of a person's own wallet.

    :raises UnableToFindExit: there is none.
    """
    rows = models.CustodyExit.objects.for_customer(user).select_related("wallet").order_by("-created_at")
    found: models.CustodyExit | None = rows.first()
    if found is None:
        raise UnableToFindExit("No exit was asked for.", code="no_exit")
    return found


def get_open_exit(*, wallet: models.Wallet) -> models.CustodyExit | None:
    """Return the exit that is announced for a wallet, or on its way to be."""
    found: models.CustodyExit | None = models.CustodyExit.objects.filter(
        wallet=wallet, state__in=models.CustodyExit.OPEN_STATES
    ).first()
    return found


def get_operations_of(*, wallet: models.Wallet, most: int) -> "db_models.QuerySet[Any]":
    """Return a wallet's latest operations, newest first."""
    return wallet.operations.select_related("user_operation__bundle").order_by("-created_at", "-pk")[:most]


def get_waiting_operations(*, now: datetime.datetime, most: int) -> list[uuid.UUID]:
    """Return operations that were reserved and are not sent, nobody being at it, oldest first; not the removals."""
    rows = models.Operation.objects.filter(state=models.Operation.State.RESERVED).filter(
        db_models.Q(leased_until__isnull=True) | db_models.Q(leased_until__lt=now)
    )
    rows = rows.exclude(kind=models.Operation.Kind.REVOKE_SESSION)
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:most])


def get_waiting_removals(*, most: int) -> list[uuid.UUID]:
    """Return the removals of sessions that were reserved and are not sent, whoever may be at it, oldest first."""
    rows = models.Operation.objects.filter(
        state=models.Operation.State.RESERVED, kind=models.Operation.Kind.REVOKE_SESSION
    )
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:most])


def get_active_grant(token: object) -> models.SessionKeyGrant | None:
    """Return the grant that pays for a request with this access token, if it has one that is alive."""
    grant: models.SessionKeyGrant | None = getattr(token, "session_key_grant", None)
    return grant if grant is not None and grant.state in grant.LIVE_STATES else None


def lock_operation(*, operation_id: uuid.UUID) -> models.Operation:
    """Lock an operation until the open transaction ends.

    :raises models.Operation.DoesNotExist: there is none.
    """
    operation: models.Operation = (
        models.Operation.objects.select_for_update(of=("self",))
        .select_related("wallet__owner_key", "quote", "grant__key")
        .get(pk=operation_id)
    )
    return operation


class UnableToFindGrant(errors.NotFound):
    """There is no such grant, or it is not this person's."""


def get_grants(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return the grants that a person has given, newest first."""
    return (
        models.SessionKeyGrant.objects.for_customer(user)
        .select_related("application", "wallet__utility")
        .order_by("-created_at", "-pk")
    )


def get_grant(*, user: customer_models.User, grant_id: uuid.UUID) -> models.SessionKeyGrant:
    """Return one grant that a person has given.

    :raises UnableToFindGrant: none that they may know of.
    """
    grant: models.SessionKeyGrant | None = get_grants(user=user).filter(pk=grant_id).first()
    if grant is None:
        raise UnableToFindGrant("There is no such grant.", code="not_found")
    return grant


def lock_grant(*, grant_id: uuid.UUID) -> models.SessionKeyGrant:
    """Lock a grant until the open transaction ends. Locks are taken in the order grant, code, refresh token.

    :raises UnableToFindGrant: there is none.
    """
    grant: models.SessionKeyGrant | None = (
        models.SessionKeyGrant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("wallet")
        .filter(pk=grant_id)
        .first()
    )
    if grant is None:
        raise UnableToFindGrant("There is no such grant.", code="not_found")
    return grant


SPENDING = (models.Operation.Kind.BILL_PAYMENT, models.Operation.Kind.PROGRAM_PAYOUT)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpendingCase:
    """What the spending policies decide about, and what they decide by."""

    layers: list[spending.Layer]
    request: conditions.Request
    facts: conditions.Facts


def get_spending_case(
    *, wallet: models.Wallet, kind: str, intent: Mapping[str, Any], spend_units: int, now: datetime.datetime
) -> SpendingCase:
    """Return what decides whether a wallet may spend so.

    In an open transaction a wallet whose past counts is locked. Spends that are reserved or under way count as well as
    those that arrived.
    """
    layers = controls.get_layers(
        utility_id=wallet.utility_id,
        customer_id=wallet.customer_id,
        program=wallet.label if wallet.kind == models.Wallet.Kind.TREASURY else "",
    )
    payees = get_payees(intent)
    request = conditions.Request(
        action=kind,
        token=str(intent.get("token", "")).lower(),
        payees=tuple(payee.lower() for payee in payees),
        units=spend_units,
        at=now,
    )
    seconds = spending.needs_history(layers)
    facts = controls.get_facts(
        utility=wallet.utility,
        account=wallet.address,
        chain_id=wallet.chain_id,
        customers=_customers_among(wallet=wallet, payees=payees),
        history=_history(wallet=wallet, since=now - datetime.timedelta(seconds=seconds)) if seconds else (),
    )
    return SpendingCase(layers=layers, request=request, facts=facts)


class UnableToExplain(errors.NotFound):
    """No wallet of this address at a utility where this person is staff."""


def get_wallet_for_staff(*, user: customer_models.User, address: str) -> models.Wallet:
    """Return a wallet that a person looks after as staff.

    :raises UnableToExplain: there is none.
    """
    wallet = models.Wallet.objects.for_staff(user).select_related("utility").filter(address=address).first()
    readers = controls.READERS
    if wallet is None or not customer_queries.has_role(user=user, utility_id=wallet.utility_id, roles=readers):
        raise UnableToExplain("There is no such wallet.", code="not_found")
    found: models.Wallet = wallet
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the spending policies say to a hypothetical operation, and every rule that was looked at."""

    allowed: bool
    code: str
    reason: str
    decided_by: spending.Decider | None
    steps: list[dict[str, Any]]


def explain_spending(
    *, wallet: models.Wallet, kind: str, token: str, payees: Sequence[str], units: int, at: datetime.datetime
) -> Explanation:
    """Say what would be decided about an operation of a wallet at an instant, and why."""
    intent = {"token": token, "recipients": [words.checksummed(words.parse_address(payee)) for payee in payees]}
    case = get_spending_case(wallet=wallet, kind=kind, intent=intent, spend_units=units, now=at)
    verdict = spending.decide(layers=case.layers, request=case.request, facts=case.facts)
    steps = spending.explain(layers=case.layers, request=case.request, facts=case.facts)
    denied = verdict if isinstance(verdict, spending.Denied) else None
    return Explanation(
        allowed=denied is None,
        code=denied.code if denied else "",
        reason=denied.reason if denied else f"Allowed by the {verdict.decided_by}.",
        decided_by=verdict.decided_by,
        steps=[_tell(step) for step in steps],
    )


def _tell(step: spending.Step) -> dict[str, Any]:
    must = [(True, *pair) for pair in zip(step.rule.when, step.when, strict=True)]
    must_not = [(False, *pair) for pair in zip(step.rule.unless, step.unless, strict=True)]
    return {
        "scope": step.scope,
        "version": step.version,
        "rule": step.rule.name,
        "effect": step.rule.effect.value,
        "matches": step.matches,
        "conditions": [
            {"must_hold": must_hold, "condition": condition.to_json(), "holds": holds}
            for must_hold, condition, holds in [*must, *must_not]
        ],
    }


def get_freeze_reason(*, operation: models.Operation) -> str:
    """Return why an operation that spends may not leave its wallet now; empty when it may."""
    if operation.kind not in SPENDING:
        return ""
    freeze = controls.get_freeze(account=operation.wallet.address, chain_id=operation.wallet.chain_id)
    return f"The wallet is frozen: {freeze.reason}" if freeze is not None else ""


def get_treasury_reason(*, operation: models.Operation) -> str:
    """Return why a bill payment may not be sent because its utility's treasury moved; empty when it may."""
    if operation.kind != models.Operation.Kind.BILL_PAYMENT:
        return ""
    ((treasury,),) = _TREASURIES.all(utility_id=operation.wallet.utility_id)
    return moved_treasury(operation=operation, treasury=treasury)


def moved_treasury(*, operation: models.Operation, treasury: str) -> str:
    """Return the same of an operation whose utility's treasury is at this address."""
    if operation.kind != models.Operation.Kind.BILL_PAYMENT or operation.intent.get("payee") in (None, treasury):
        return ""
    return "The utility's treasury moved since this was agreed to. Agree to pay the new one in the app."


_TREASURIES = sql.Read(
    lambda: customer_models.Utility.objects.filter(pk=sql.Slot("utility_id")).values_list("treasury_address")
)


def get_payees(intent: Mapping[str, Any]) -> list[str]:
    """Return whom an operation pays."""
    return [*intent.get("recipients", ()), *([intent["payee"]] if intent.get("payee") else ())]


def _customers_among(*, wallet: models.Wallet, payees: Sequence[str]) -> list[str]:
    others = [payee for payee in payees if payee != wallet.utility.treasury_address]
    if not others:
        return []
    rows = models.Wallet.objects.of_utility(wallet.utility_id).filter(
        kind=models.Wallet.Kind.CUSTOMER, chain_id=wallet.chain_id, address__in=others
    )
    return list(rows.values_list("address", flat=True))


def _history(*, wallet: models.Wallet, since: datetime.datetime) -> tuple[conditions.Spend, ...]:
    if db.in_transaction():
        models.Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)
    rows = models.Operation.objects.filter(wallet=wallet, kind__in=SPENDING, created_at__gt=since)
    return tuple(
        conditions.Spend(action=kind, token=str(intent.get("token", "")).lower(), units=units, at=at)
        for kind, intent, units, at in rows.exclude(state=models.Operation.State.FAILED).values_list(
            "kind", "intent", "spend_units", "created_at"
        )
    )


def get_signature_request(*, operation: models.Operation) -> dict[str, Any] | None:
    """Return what the customer's phone is to sign while the operation waits for that, else None.

    `hash` and `operation` are hexadecimal text as `wallets.domain.prepared` shows them, `sign_by` is RFC 3339.
    """
    if operation.state != models.Operation.State.AWAITING_SIGNATURE:
        return None
    grant = operation.grant
    if grant is None or grant.client_key is None:
        return None
    request = operation.signature_request
    return {
        "hash": str(request.user_operation_hash),
        "algorithm": client_keys.algorithm_of(grant.client_key),
        "chain_id": operation.wallet.chain_id,
        "operation": prepared.shown(prepared.from_json(request.user_operation)),
        "sign_by": request.sign_by.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z"),
    }
