"""Reads: which policies hold, what is frozen, who may decide."""

import uuid
import zoneinfo
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from controls import models
from controls.domain import conditions, spending
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import errors, sql

Roles = customer_models.StaffRole.Role
DECIDERS = frozenset({Roles.ADMINISTRATOR})
READERS = frozenset({Roles.ADMINISTRATOR, Roles.AUDITOR, Roles.CSR, Roles.PROGRAM_MANAGER, Roles.BILLING_ANALYST})


def _layers() -> "QuerySet[Any, Any]":
    scopes = (
        Q(scope=models.SpendingPolicy.Scope.UTILITY)
        | Q(scope=models.SpendingPolicy.Scope.CUSTOMER, customer_id=sql.Slot("customer_id"))
        | Q(scope=models.SpendingPolicy.Scope.PROGRAM, program=sql.Slot("program"))
    )
    rows = models.SpendingPolicy.objects.filter(scopes, utility_id=sql.Slot("utility_id"))
    return rows.order_by("scope", "-version").distinct("scope").values_list("scope", "version", "document")


_LAYERS = sql.Read(_layers)  # what is no customer's or program's is asked with None, which equals nothing
_FREEZES = sql.Read(
    lambda: models.Freeze.objects.filter(
        account=sql.Slot("account"), chain_id=sql.Slot("chain_id"), lifted_at__isnull=True
    )
)


def get_layers(*, utility_id: int, customer_id: int | None = None, program: str = "") -> list[spending.Layer]:
    """Return the policies that hold for a wallet: of its utility (built in if it has none), program and customer."""
    layers = [
        spending.Layer(scope=scope, version=version, policy=spending.Policy.parse(document))
        for scope, version, document in _LAYERS.all(
            utility_id=utility_id, customer_id=customer_id, program=program or None
        )
    ]
    if not any(layer.scope == models.SpendingPolicy.Scope.UTILITY for layer in layers):
        layers.insert(0, spending.Layer(scope="utility", version=0, policy=spending.DEFAULT))
    return layers


def get_facts(
    *,
    utility: customer_models.Utility,
    account: str,
    chain_id: int,
    customers: Iterable[str] | None = None,
    history: tuple[conditions.Spend, ...] | None = None,
) -> conditions.Facts:
    """Return what a request of an account is judged by."""
    freeze = get_freeze(account=account, chain_id=chain_id)
    return conditions.Facts(
        treasury=str(utility.treasury_address).lower(),
        zone=zoneinfo.ZoneInfo(utility.time_zone),
        customers=None if customers is None else frozenset(address.lower() for address in customers),
        history=history,
        frozen=freeze.reason if freeze is not None else "",
    )


def get_freeze(*, account: str, chain_id: int) -> models.Freeze | None:
    """Return what freezes an account now, or None."""
    found: models.Freeze | None = _FREEZES.first(account=account, chain_id=chain_id)
    return found


def may_decide(*, user: customer_models.User, utility_id: int) -> bool:
    """Say whether a person may ask for changes at a utility, and decide about those of others."""
    return customer_queries.has_role(user=user, utility_id=utility_id, roles=DECIDERS)


class UnableToFindChange(errors.NotFound):
    """No such change, or none of a utility where this person may decide."""


def lock_change(*, change_id: uuid.UUID, user: customer_models.User) -> models.ChangeRequest:
    """Lock a change until the transaction ends.

    :raises UnableToFindChange: none that this person may decide about.
    """
    change: models.ChangeRequest | None = (
        models.ChangeRequest.objects.select_for_update(of=("self",)).filter(pk=change_id).first()
    )
    if change is None or not may_decide(user=user, utility_id=change.utility_id):
        raise UnableToFindChange("There is no such change.", code="not_found")
    return change


def get_when_down(*, utility_id: int) -> str:
    """Return what a utility does while addresses cannot be checked."""
    rule = models.ScreeningRule.objects.filter(utility_id=utility_id).first()
    return str(rule.when_down if rule is not None else models.ScreeningRule.WhenDown.HOLD)
