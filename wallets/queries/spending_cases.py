"""Reading what decides whether a wallet may spend, and saying why."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.bindings import words
from controls import queries as controls
from controls.domain import conditions, spending
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors, sql
from wallets import models

SPENDING = (models.Operation.Kind.BILL_PAYMENT, models.Operation.Kind.PROGRAM_PAYOUT)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpendingCase:
    """What the spending policies decide about, and what they decide by."""

    layers: list[spending.Layer]
    request: conditions.Request
    facts: conditions.Facts


def ask_rules(*, wallet: models.Wallet) -> controls.AskedRules:
    """Ask for the spending policies that hold for a wallet."""
    return controls.ask_rules(
        utility_id=wallet.utility_id,
        account=wallet.address,
        chain_id=wallet.chain_id,
        customer_id=wallet.customer_id,
        program=wallet.label if wallet.kind == models.Wallet.Kind.TREASURY else "",
    )


def get_spending_case(
    *,
    wallet: models.Wallet,
    rules: controls.AskedRules,
    kind: str,
    intent: Mapping[str, Any],
    spend_units: int,
    now: datetime.datetime,
) -> SpendingCase:
    """Return what decides whether a wallet may spend so, by the rules that were asked for it.

    In an open transaction a wallet whose past counts is locked. Spends that are reserved or under way count as well as
    those that arrived.
    """
    found = rules.get()
    payees = get_payees(intent)
    request = conditions.Request(
        action=kind,
        token=str(intent.get("token", "")).lower(),
        payees=tuple(payee.lower() for payee in payees),
        units=spend_units,
        at=now,
    )
    seconds = spending.needs_history(found.layers)
    facts = controls.get_facts(
        utility=wallet.utility,
        frozen=found.frozen,
        customers=_customers_among(wallet=wallet, payees=payees),
        history=_history(wallet=wallet, since=now - datetime.timedelta(seconds=seconds)) if seconds else (),
    )
    return SpendingCase(layers=found.layers, request=request, facts=facts)


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
    case = get_spending_case(
        wallet=wallet, rules=ask_rules(wallet=wallet), kind=kind, intent=intent, spend_units=units, now=at
    )
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
