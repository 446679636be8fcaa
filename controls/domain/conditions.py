"""What a spending rule may look at: a request, the facts around it, and the closed set of conditions.

What cannot be told from the facts at hand (the signer has no history) is neither true nor false: `holds` says None.
Serialised conditions carry their kind and are append-only: a changed meaning is a new kind. Addresses are lower-case
text, instants aware, units base units of the operation's token.
"""

import abc
import dataclasses
import datetime
import re
import zoneinfo
from collections.abc import Mapping
from typing import Any, ClassVar, Self

TREASURY = "treasury"
CUSTOMERS = "customers"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_MINUTES = 24 * 60
_DAYS = 7


class UnableToReadPolicy(ValueError):
    """A policy with a missing, unknown or malformed part."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An operation that somebody wishes for."""

    action: str
    token: str
    payees: tuple[str, ...]
    units: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What the same wallet spent before, or is about to."""

    action: str
    token: str
    units: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a request is judged by. None is for what is not known here."""

    treasury: str
    zone: zoneinfo.ZoneInfo
    customers: frozenset[str] | None = None
    history: tuple[Spend, ...] | None = None
    frozen: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Condition(abc.ABC):
    """One thing that holds for a request, or not."""

    kind: ClassVar[str]

    @abc.abstractmethod
    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        """Say whether it holds, or None when the facts do not tell."""

    def to_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"kind": self.kind} | {name: _write(name, value) for name, value in values.items()}

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        fields = {field.name: field for field in dataclasses.fields(cls)}
        given = {name: part for name, part in value.items() if name != "kind"}
        if given.keys() - fields.keys():
            raise UnableToReadPolicy(f"{cls.kind}: unknown {', '.join(sorted(given.keys() - fields.keys()))}.")
        try:
            return cls(**{name: _read(given[name], field.type) for name, field in fields.items() if name in given})
        except (TypeError, ValueError) as error:
            raise UnableToReadPolicy(f"{cls.kind}: {error}") from None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Actions(Condition):
    """It is one of these kinds of operation."""

    kind: ClassVar[str] = "actions"
    among: tuple[str, ...]

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        return request.action in self.among


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Payees(Condition):
    """Everybody who is paid is among these: addresses, the utility's `treasury`, its `customers`."""

    kind: ClassVar[str] = "payees"
    within: tuple[str, ...]

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        known = _addresses(self.within, facts)
        unknown = set(request.payees) - known
        if unknown and CUSTOMERS in self.within:
            return None if facts.customers is None else unknown <= facts.customers
        return not unknown


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SomePayee(Condition):
    """Somebody who is paid is among these addresses."""

    kind: ClassVar[str] = "some_payee"
    among: tuple[str, ...]

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        return not _addresses(self.among, facts).isdisjoint(request.payees)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tokens(Condition):
    """It is paid in one of these tokens."""

    kind: ClassVar[str] = "tokens"
    among: tuple[str, ...]

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        return request.token in self.among


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Units(Condition):
    """The operation spends at most so much."""

    kind: ClassVar[str] = "units"
    at_most_units: int

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        return request.units <= self.at_most_units


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spent(Condition):
    """With this operation the wallet spent at most so much of its token within the last seconds."""

    kind: ClassVar[str] = "spent"
    at_most_units: int
    seconds: int

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        if request.units > self.at_most_units:
            return False
        if facts.history is None:
            return None
        before = _within(facts.history, request, self.seconds)
        return request.units + sum(spend.units for spend in before if spend.token == request.token) <= (
            self.at_most_units
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Velocity(Condition):
    """With this one the wallet made at most so many operations within the last seconds."""

    kind: ClassVar[str] = "velocity"
    at_most: int
    seconds: int

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        if facts.history is None:
            return None
        return 1 + len(_within(facts.history, request, self.seconds)) <= self.at_most


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hours(Condition):
    """It is one of these days (0 is Monday) and `[from_minute, until_minute)` of the utility's local day."""

    kind: ClassVar[str] = "hours"
    days: tuple[int, ...] = tuple(range(_DAYS))
    from_minute: int = 0
    until_minute: int = _MINUTES

    def __post_init__(self) -> None:
        if not 0 <= self.from_minute < self.until_minute <= _MINUTES or not set(self.days) <= set(range(_DAYS)):
            raise ValueError("minutes are [0, 1440), the later one after the earlier one, days 0 to 6")

    def holds(self, *, request: Request, facts: Facts) -> bool | None:
        local = request.at.astimezone(facts.zone)
        return local.weekday() in self.days and self.from_minute <= local.hour * 60 + local.minute < self.until_minute


CONDITIONS: dict[str, type[Condition]] = {
    condition.kind: condition for condition in (Actions, Payees, SomePayee, Tokens, Units, Spent, Velocity, Hours)
}


def _read(value: Any, kind: Any) -> Any:
    if kind is int:
        return _number(value)
    if not isinstance(value, list) or not value:
        raise ValueError("a list with something in it")
    if kind == tuple[int, ...]:
        return tuple(_number(part) for part in value)
    if not all(isinstance(part, str) for part in value):
        raise ValueError("a list of texts")
    return tuple(part.lower() if _ADDRESS.fullmatch(part) else part for part in value)


def _number(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a number is whole and not negative")
    return value


def _write(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if name.endswith("_units") else value


def _addresses(named: tuple[str, ...], facts: Facts) -> set[str]:
    return {facts.treasury if name == TREASURY else name for name in named}


def _within(history: tuple[Spend, ...], request: Request, seconds: int) -> list[Spend]:
    since = request.at - datetime.timedelta(seconds=seconds)
    return [spend for spend in history if spend.at > since]
