"""Spending policies: default deny, an explicit deny wins, and the answer names the rule that decided.

A policy is a frozen list of rules. A rule matches when all of its `when` hold and none of its `unless`. What cannot be
told from the facts at hand never denies, and never stands in the way of leave.

Serialised policies carry a tag and are append-only: a changed meaning is a new tag.
"""

import dataclasses
import enum
from collections.abc import Iterable, Sequence
from typing import Any, Self

from controls.domain import conditions

TAG = "spending/1"
MOST_RULES = 100
MOST_NAME = 100


class Effect(enum.StrEnum):
    """What a rule does when it matches."""

    ALLOW = "allow"
    DENY = "deny"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Gives leave, or refuses, when it matches."""

    name: str
    effect: Effect
    when: tuple[conditions.Condition, ...] = ()
    unless: tuple[conditions.Condition, ...] = ()

    def matches(self, *, request: conditions.Request, facts: conditions.Facts) -> bool | None:
        """Say whether it matches, or None when the facts do not tell."""
        parts = [condition.holds(request=request, facts=facts) for condition in self.when]
        parts += [_not(condition.holds(request=request, facts=facts)) for condition in self.unless]
        if False in parts:
            return False
        return None if None in parts else True

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "effect": self.effect.value,
            "when": [condition.to_json() for condition in self.when],
            "unless": [condition.to_json() for condition in self.unless],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Rules; their order says nothing."""

    rules: tuple[Rule, ...]

    def to_json(self) -> dict[str, Any]:
        return {"tag": TAG, "rules": [rule.to_json() for rule in self.rules]}

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the policy that JSON describes.

        :raises conditions.UnableToReadPolicy: a part is missing, unknown or malformed.
        """
        if not isinstance(value, dict) or value.get("tag") != TAG or value.keys() != {"tag", "rules"}:
            raise conditions.UnableToReadPolicy(f'A policy is {{"tag": "{TAG}", "rules": [...]}}.')
        listed = value["rules"]
        if not isinstance(listed, list) or not 0 < len(listed) <= MOST_RULES:
            raise conditions.UnableToReadPolicy(f"A policy has 1 to {MOST_RULES} rules.")
        rules = tuple(_parse_rule(rule) for rule in listed)
        if len({rule.name for rule in rules}) != len(rules):
            raise conditions.UnableToReadPolicy("Two rules have the same name.")
        return cls(rules=rules)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A policy as it applies: of the utility, of a program or of a customer."""

    scope: str
    version: int
    policy: Policy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """The rule that decided."""

    scope: str
    version: int
    rule: str

    def __str__(self) -> str:
        return f"{self.scope} policy {self.version}, {self.rule}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """It may happen."""

    decided_by: Decider


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """It may not happen. Without a decider nothing gave leave."""

    code: str
    reason: str
    decided_by: Decider | None = None


type Verdict = Allowed | Denied


def decide(*, layers: Sequence[Layer], request: conditions.Request, facts: conditions.Facts) -> Verdict:
    """Judge a request: a freeze refuses, then any deny of any layer, then any allow of any layer gives leave."""
    if facts.frozen:
        return Denied(code="wallet_frozen", reason=f"The wallet is frozen: {facts.frozen}")
    leave: Decider | None = None
    for layer in layers:
        for rule in layer.policy.rules:
            matches = rule.matches(request=request, facts=facts)
            decider = Decider(scope=layer.scope, version=layer.version, rule=rule.name)
            if matches is True and rule.effect is Effect.DENY:
                return Denied(
                    code="denied_by_rule",
                    reason=f"The {layer.scope}'s rule “{rule.name}” refuses it.",
                    decided_by=decider,
                )
            if matches is not False and rule.effect is Effect.ALLOW and leave is None:
                leave = decider
    if leave is None:
        return Denied(code="no_rule_allows", reason="No rule of the utility, program or customer allows it.")
    return Allowed(decided_by=leave)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rule of an explanation, with whether it and each of its conditions holds (None: not known)."""

    scope: str
    version: int
    rule: Rule
    matches: bool | None
    when: tuple[bool | None, ...]
    unless: tuple[bool | None, ...]


def explain(*, layers: Sequence[Layer], request: conditions.Request, facts: conditions.Facts) -> tuple[Step, ...]:
    """Return every rule that was looked at, in order, with what was found."""
    return tuple(
        Step(
            scope=layer.scope,
            version=layer.version,
            rule=rule,
            matches=rule.matches(request=request, facts=facts),
            when=tuple(condition.holds(request=request, facts=facts) for condition in rule.when),
            unless=tuple(condition.holds(request=request, facts=facts) for condition in rule.unless),
        )
        for layer in layers
        for rule in layer.policy.rules
    )


def needs_history(layers: Iterable[Layer]) -> int:
    """Return how many seconds of a wallet's past some rule looks at; 0 when none does."""
    looked_at = [
        condition for layer in layers for rule in layer.policy.rules for condition in (*rule.when, *rule.unless)
    ]
    return max(
        (each.seconds for each in looked_at if isinstance(each, conditions.Spent | conditions.Velocity)), default=0
    )


DEFAULT = Policy(
    rules=(
        Rule(
            name="customers pay their bills",
            effect=Effect.ALLOW,
            when=(conditions.Actions(among=("billing.payment",)), conditions.Payees(within=(conditions.TREASURY,))),
        ),
        Rule(
            name="programs pay customers",
            effect=Effect.ALLOW,
            when=(conditions.Actions(among=("programs.payout",)), conditions.Payees(within=(conditions.CUSTOMERS,))),
        ),
    )
)


def _parse_rule(value: Any) -> Rule:
    if not isinstance(value, dict) or value.keys() - {"name", "effect", "when", "unless"}:
        raise conditions.UnableToReadPolicy("A rule has name, effect, when and unless.")
    name = value.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME:
        raise conditions.UnableToReadPolicy(f"A rule's name has 1 to {MOST_NAME} characters.")
    if value.get("effect") not in {"allow", "deny"}:
        raise conditions.UnableToReadPolicy(f"{name}: the effect is allow or deny.")
    return Rule(
        name=name,
        effect=Effect(value["effect"]),
        when=_parse_conditions(value.get("when", [])),
        unless=_parse_conditions(value.get("unless", [])),
    )


def _parse_conditions(value: Any) -> tuple[conditions.Condition, ...]:
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise conditions.UnableToReadPolicy("Conditions are a list of objects.")
    for part in value:
        if part.get("kind") not in conditions.CONDITIONS:
            raise conditions.UnableToReadPolicy(f"Unknown condition {part.get('kind')!r}.")
    return tuple(conditions.CONDITIONS[part["kind"]].parse(part) for part in value)


def _not(value: bool | None) -> bool | None:  # noqa: FBT001 - one of three values
    return None if value is None else not value
