"""Reads: which policies hold, what is frozen, who may decide."""

import dataclasses
import json
import uuid
import zoneinfo
from collections.abc import Iterable

from controls import models
from controls.domain import conditions, spending
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import errors, sql

Roles = customer_models.StaffRole.Role
DECIDERS = frozenset({Roles.ADMINISTRATOR})
READERS = frozenset({Roles.ADMINISTRATOR, Roles.AUDITOR, Roles.CSR, Roles.PROGRAM_MANAGER, Roles.BILLING_ANALYST})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for an account: policies, and why it is frozen (empty when it is not)."""

    layers: list[spending.Layer]
    frozen: str


def get_rules(
    *, utility_id: int, account: str, chain_id: int, customer_id: int | None = None, program: str = ""
) -> Rules:
    """Return the policies that hold for an account, of its utility (built in if it has none), program and customer."""
    asked = ask_rules(
        utility_id=utility_id, account=account, chain_id=chain_id, customer_id=customer_id, program=program
    )
    return asked.get()


def ask_rules(
    *, utility_id: int, account: str, chain_id: int, customer_id: int | None = None, program: str = ""
) -> "AskedRules":
    """Ask for them, with the next statement."""
    question = sql.ask(
        _RULES,
        {
            "utility": utility_id,
            "customer": customer_id,
            "program": program or None,
            "account": bytes.fromhex(account[2:]),
            "chain": chain_id,
        },
    )
    return AskedRules(question=question)


@dataclasses.dataclass(frozen=True, slots=True)
class AskedRules:
    """The policies that were asked for."""

    question: sql.Question

    def get(self) -> Rules:
        """Return them."""
        found = self.question.all()
        layers = [
            spending.Layer(scope=scope, version=version, policy=spending.Policy.parse(json.loads(document)))
            for scope, version, document in found
            if scope != _FREEZE
        ]
        if not any(layer.scope == models.SpendingPolicy.Scope.UTILITY for layer in layers):
            layers.insert(0, spending.Layer(scope="utility", version=0, policy=spending.DEFAULT))
        return Rules(layers=layers, frozen="".join(json.loads(said) for scope, _, said in found if scope == _FREEZE))


_FREEZE = "freeze"
# What is no customer's or program's is asked with NULL, which equals nothing.
_RULES = """
    (
        SELECT DISTINCT ON (scope) scope, version, document FROM controls_spendingpolicy
        WHERE utility_id = %(utility)s AND (
            scope = 'utility' OR (scope = 'customer' AND customer_id = %(customer)s::bigint)
            OR (scope = 'program' AND program = %(program)s::text)
        )
        ORDER BY scope, version DESC
    )
    UNION ALL
    SELECT 'freeze', NULL, to_jsonb(reason) FROM controls_freeze
    WHERE account = %(account)s AND chain_id = %(chain)s AND lifted_at IS NULL
"""


def get_facts(
    *,
    utility: customer_models.Utility,
    frozen: str,
    customers: Iterable[str] | None = None,
    history: tuple[conditions.Spend, ...] | None = None,
) -> conditions.Facts:
    """Return what a request of an account is judged by."""
    return conditions.Facts(
        treasury=str(utility.treasury_address).lower(),
        zone=zoneinfo.ZoneInfo(utility.time_zone),
        customers=None if customers is None else frozenset(address.lower() for address in customers),
        history=history,
        frozen=frozen,
    )


_FREEZES = sql.Read(
    lambda: models.Freeze.objects.filter(
        account=sql.Slot("account"), chain_id=sql.Slot("chain_id"), lifted_at__isnull=True
    )
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
