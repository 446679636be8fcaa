"""Caps of a treasury's key: the most of each token that a batch may pay, and all batches of 24 hours together."""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from contracts.bindings import tokens, words

DAY = datetime.timedelta(hours=24)


class UnableToReadCaps(ValueError):
    """Not a list of caps, each of another token."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """Most of one token, in base units, inclusive."""

    token: bytes
    batch_units: int
    day_units: int

    def to_json(self) -> dict[str, Any]:
        return {
            "token": "0x" + self.token.hex(),
            "batch_units": str(self.batch_units),
            "day_units": str(self.day_units),
        }


def read(value: Any) -> tuple[Cap, ...]:
    """Return the caps that JSON lists.

    :raises UnableToReadCaps: it lists none, or two of one token.
    """
    if not isinstance(value, list):
        raise UnableToReadCaps("caps are a list")
    caps = tuple(_read_one(each) for each in value)
    if len({cap.token for cap in caps}) != len(caps):
        raise UnableToReadCaps("a token has two caps")
    return caps


def refusal(*, caps: Iterable[Cap], batch: tokens.PayoutBatch, others: Mapping[bytes, tokens.PayoutBatch]) -> str:
    """Return the reason why a batch is above its caps, or nothing.

    `others` are the batches signed in the last day by their references; the chain pays a reference once, so one that is
    signed again counts once.
    """
    cap = next((cap for cap in caps if cap.token == batch.token), None)
    if cap is None:
        return "The key has no cap for this token, so it pays none of it."
    units = sum(batch.amounts_units)
    if units > cap.batch_units:
        return f"The batch of {units} is above the cap {cap.batch_units} of a batch."
    before = [other for reference, other in others.items() if reference != batch.reference]
    day_units = units + sum(sum(other.amounts_units) for other in before if other.token == batch.token)
    if day_units > cap.day_units:
        return f"With this batch {day_units} leave within 24 hours, above the cap {cap.day_units}."
    return ""


def _read_one(value: Any) -> Cap:
    if not isinstance(value, dict) or value.keys() != {"token", "batch_units", "day_units"}:
        raise UnableToReadCaps("a cap has token, batch_units and day_units")
    return Cap(
        token=words.parse_address(str(value["token"])),
        batch_units=_units(value["batch_units"]),
        day_units=_units(value["day_units"]),
    )


def _units(value: Any) -> int:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()) or int(value) >= 2**256:
        raise UnableToReadCaps("units are decimal digits")
    return int(value)
