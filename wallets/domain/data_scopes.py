"""Green Button's OAuth scopes (NAESB REQ.21, ESPI 4.0): function blocks, how fine, how bundled and how old the data.

`FB=1_3_4_5;IntervalDuration=3600;BlockDuration=monthly;HistoryLength=34128000`: one scope value without spaces. A
granted one ends in `;Authorization=<UUID>`, which says whose consent it came of; nobody may ask for that term.
"""

import dataclasses
import datetime
import re
import uuid
from typing import Self

PREFIX = "FB="
BLOCK_DURATIONS = ("daily", "monthly")
ENERGY_BLOCKS = frozenset({4, 5})
# Forward and reverse are told apart, each with its own direction: block 8. Net readings (block 7) are not served.
EXPORT_BLOCKS = frozenset({8})
RETAIL_BLOCKS = {
    54: "your name and how to reach you",
    57: "the number of your account and what you agreed on",
    58: "your address",
    60: "the serial numbers of your meters",
}
# Blocks that say how the two systems talk, not what is told. What ESPI 4.0 took back (14, 18, 19, 32) is not claimed,
# nor are notices of personal data (69).
PROTOCOL_BLOCKS = frozenset({1, 3, 13, 31, 37, 39, 51, 53, 64, 65})
MANAGEMENT_BLOCKS = frozenset({41, 44})
SUPPORTED_BLOCKS = frozenset({*ENERGY_BLOCKS, *EXPORT_BLOCKS, *RETAIL_BLOCKS, *PROTOCOL_BLOCKS, *MANAGEMENT_BLOCKS})
DEFAULT_HISTORY = datetime.timedelta(days=395)
LONGEST_HISTORY = datetime.timedelta(days=1100)
LONGEST_TEXT = 256
_MOST_MONTHS = 999
_HOUR = 3600
_MONTH = datetime.timedelta(days=30)
_FORM = re.compile(r"[A-Za-z]+=[A-Za-z0-9_\-]+(;[A-Za-z]+=[A-Za-z0-9_\-]+)*")


class Unreadable(ValueError):
    """The text is no scope of Green Button, or names what is not shared here; the words say which."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DataScope:
    """What a third party may have: blocks, the finest intervals (seconds), how they are bundled, how far back."""

    blocks: frozenset[int]
    interval_seconds: tuple[int, ...] = ()
    block_duration: str = "monthly"
    history: datetime.timedelta | None = None
    authorization_id: uuid.UUID | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return a scope.

        `HistoryLength` is in seconds; a number below 1,000 is months, as the alliance's own examples have it. Terms
        that we do not know are left out.

        :raises Unreadable: see its name.
        """
        if len(text) > LONGEST_TEXT or not _FORM.fullmatch(text):
            raise Unreadable("A Green Button scope reads FB=1_3_4_5;IntervalDuration=3600;…")
        terms = dict(term.split("=", 1) for term in text.split(";"))
        blocks = frozenset(_numbers(terms.get("FB", ""), "FB"))
        if unknown := sorted(blocks - SUPPORTED_BLOCKS):
            raise Unreadable(f"Function blocks {', '.join(map(str, unknown))} are not shared here.")
        finest = _numbers(terms["IntervalDuration"], "IntervalDuration") if "IntervalDuration" in terms else []
        if any(_HOUR % seconds for seconds in finest):
            raise Unreadable("IntervalDuration divides an hour.")
        bundled = terms.get("BlockDuration", "monthly").lower()
        if bundled not in BLOCK_DURATIONS:
            raise Unreadable(f"BlockDuration is one of {', '.join(BLOCK_DURATIONS)}.")
        return cls(
            blocks=blocks,
            interval_seconds=tuple(sorted(finest)),
            block_duration=bundled,
            history=_history(terms["HistoryLength"]) if "HistoryLength" in terms else None,
            authorization_id=_identity(terms["Authorization"]) if "Authorization" in terms else None,
        )

    def __str__(self) -> str:
        terms = [f"FB={'_'.join(str(block) for block in sorted(self.blocks))}"]
        if self.interval_seconds:
            terms.append(f"IntervalDuration={'_'.join(map(str, self.interval_seconds))}")
        terms.append(f"BlockDuration={self.block_duration}")
        if self.history is not None:
            terms.append(f"HistoryLength={int(self.history.total_seconds())}")
        if self.authorization_id is not None:
            terms.append(f"Authorization={self.authorization_id}")
        return ";".join(terms)

    def is_within(self, allowed: "DataScope") -> bool:
        """Say whether a third party that may have `allowed` at most may ask for this."""
        is_fine_enough = (
            not allowed.interval_seconds
            or not self.interval_seconds
            or min(self.interval_seconds) >= min(allowed.interval_seconds)
        )
        history = allowed.history or DEFAULT_HISTORY
        return (
            self.authorization_id is None
            and self.blocks <= allowed.blocks
            and is_fine_enough
            and (self.history or datetime.timedelta()) <= history
        )

    def granted_from(self, allowed: "DataScope", *, authorization_id: uuid.UUID) -> "DataScope":
        """Return this, what it leaves open filled in from what the third party may have at most."""
        history = self.history if self.history is not None else allowed.history or DEFAULT_HISTORY
        return dataclasses.replace(
            self,
            interval_seconds=(self.interval_seconds or allowed.interval_seconds)[:1],
            history=min(history, LONGEST_HISTORY),
            authorization_id=authorization_id,
        )

    @property
    def shares_energy(self) -> bool:
        """Say whether intervals of electricity are told."""
        return self.blocks >= ENERGY_BLOCKS

    @property
    def shares_export(self) -> bool:
        """Say whether what was given to the grid is told too."""
        return self.shares_energy and not self.blocks.isdisjoint(EXPORT_BLOCKS)

    @property
    def retail_blocks(self) -> frozenset[int]:
        """Return which personal data are told; none unless asked for by block."""
        return self.blocks & frozenset(RETAIL_BLOCKS)

    @property
    def finest_seconds(self) -> int | None:
        """Return the shortest interval that is told, or None for what the meter has."""
        return self.interval_seconds[0] if self.interval_seconds else None


def is_data_scope(scope: str) -> bool:
    """Say whether a scope is one of Green Button's."""
    return scope.startswith(PREFIX)


def find(scopes: str) -> DataScope | None:
    """Return the one of Green Button among scopes separated by spaces, or None; a second one is nothing."""
    found = [scope for scope in scopes.split() if is_data_scope(scope)]
    try:
        return DataScope.parse(found[0]) if len(found) == 1 else None
    except Unreadable:
        return None


def may_ask(*, asked: str, allowed: str) -> bool:
    """Say whether an application with these allowed scopes may ask for a scope of Green Button."""
    most = find(allowed)
    wanted = find(asked)
    return most is not None and wanted is not None and wanted.is_within(most)


def _numbers(text: str, name: str) -> list[int]:
    numbers = text.split("_")
    if not all(number.isdecimal() and 0 < int(number) < 10**6 for number in numbers):
        raise Unreadable(f"{name} is whole numbers joined by _.")
    return [int(number) for number in numbers]


def _history(text: str) -> datetime.timedelta:
    if not text.isdecimal() or len(text) > 10:  # noqa: PLR2004 - no history is longer
        raise Unreadable("HistoryLength is a whole number of seconds.")
    number = int(text)
    return number * _MONTH if number <= _MOST_MONTHS else datetime.timedelta(seconds=number)


def _identity(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Unreadable("Authorization is a UUID.") from error
