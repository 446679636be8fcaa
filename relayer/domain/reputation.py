"""Reputation of entities that are not ours, by the rules of ERC-7562 ("Local rules"), each named by its id.

Entities are the factory and the paymaster of an operation. Senders are held to SAME_SENDER_MEMPOOL_COUNT whether they
have a stake or not, which is stricter than UREP-011 asks.
"""

import dataclasses
import enum
import re

MIN_INCLUSION_RATE_DENOMINATOR = 10  # a bundler's
THROTTLING_SLACK = 10
BAN_SLACK = 50
BAN_OPS_SEEN_PENALTY = 10_000
MAX_OPS_ALLOWED_UNSTAKED_ENTITY = 10_000
SAME_UNSTAKED_ENTITY_MEMPOOL_COUNT = 10
THROTTLED_ENTITY_MEMPOOL_COUNT = 4
THROTTLED_ENTITY_BUNDLE_COUNT = 4
THROTTLED_ENTITY_LIVE_BLOCKS = 10

_CODE = re.compile(r"\bAA(\d)(\d)\b")
# What time and money bring about without anybody breaking a rule: deposits and windows, and the nonce.
_NOBODYS_FAULT = frozenset({"21", "22", "25", "31", "32"})


class Standing(enum.Enum):
    """How an entity is looked at."""

    OK = "ok"
    THROTTLED = "throttled"
    BANNED = "banned"


class Role(enum.Enum):
    """What an entity is to an operation."""

    FACTORY = "factory"
    PAYMASTER = "paymaster"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How often operations that name an entity came in, and how often they got into a block."""

    seen: int = 0
    included: int = 0

    def after(self, *, hours: int) -> "Record":
        """Return the record after so many full hours: every hour `value = value * 23 // 24`."""
        return Record(seen=faded(self.seen, hours=hours), included=faded(self.included, hours=hours))

    @property
    def standing(self) -> Standing:
        """Say how the entity is looked at; a new one is OK."""
        most = self.seen // MIN_INCLUSION_RATE_DENOMINATOR
        if most > self.included + BAN_SLACK:
            return Standing.BANNED
        return Standing.THROTTLED if most > self.included + THROTTLING_SLACK else Standing.OK

    @property
    def allowed_unstaked(self) -> int:
        """Return how many operations of an unstaked paymaster may wait together (UREP-020)."""
        earned = self.included * min(self.included, MAX_OPS_ALLOWED_UNSTAKED_ENTITY) // self.seen if self.seen else 0
        return SAME_UNSTAKED_ENTITY_MEMPOOL_COUNT + earned


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An entity as it stands when another operation names it: its record, stake, and what waits in the pool.

    `waiting_wei` is the most that the waiting operations of a paymaster may cost, `deposit_wei` what it has for them.
    """

    role: Role
    is_staked: bool
    record: Record
    waiting: int
    is_a_sender: bool = False
    waiting_wei: int = 0
    deposit_wei: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why an operation stays out, by the rule's id."""

    rule: str
    what: str


def faded(value: int, *, hours: int) -> int:
    """Return a count after so many full hours."""
    for _ in range(hours):
        if not value:
            break
        value = value * 23 // 24
    return value


def has_reputation(*, role: Role, is_staked: bool) -> bool:
    """Say whether the general rules hold for an entity: staked ones, and unstaked paymasters."""
    return is_staked or role is Role.PAYMASTER


def objection_to(*, entity: Entity, cost_wei: int) -> Objection | None:
    """Return what stands against one more operation that names an entity and may cost so much, None if nothing does."""
    standing, waiting = entity.record.standing, entity.waiting
    counts = has_reputation(role=entity.role, is_staked=entity.is_staked)
    is_short = entity.role is Role.PAYMASTER and entity.waiting_wei + cost_wei > entity.deposit_wei
    is_full = waiting >= entity.record.allowed_unstaked and not entity.is_staked
    found = (
        ("STO-040", "is the sender of a waiting operation", entity.is_a_sender),
        ("EREP-010", "has too little deposited for all operations that wait", is_short),
        ("GREP-010", "is banned for now", counts and standing is Standing.BANNED),
        (
            "GREP-020",
            "is throttled, and enough of its operations wait",
            counts and standing is Standing.THROTTLED and waiting >= THROTTLED_ENTITY_MEMPOOL_COUNT,
        ),
        ("UREP-020", "has no stake, and enough of its operations wait", counts and standing is Standing.OK and is_full),
    )
    return next((Objection(rule=rule, what=what) for rule, what, holds in found if holds), None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What a failure in a bundle means: who is banned, and whether the paymaster is forgiven that it was seen."""

    banned: Role | None = None
    forgives_paymaster: bool = False


def blame_for(*, reason: str, has_staked_factory: bool, has_paymaster: bool) -> Blame:
    """Return who answers for an operation that passed its second validation and then failed in the bundle.

    Paymasters answer for their own errors (GREP-040) and not for those of factory and account (EREP-015), for which a
    staked factory does where it deploys the account (EREP-020).
    """
    found = _CODE.search(reason)
    if found is None or found[1] + found[2] in _NOBODYS_FAULT:
        return Blame()
    if found[1] == "3":
        return Blame(banned=Role.PAYMASTER if has_paymaster else None)
    return Blame(banned=Role.FACTORY if has_staked_factory else None, forgives_paymaster=has_paymaster)
