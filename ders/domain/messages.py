"""What providers tell us by webhook, parsed strictly: a message is wholly right or refused."""

import dataclasses
import datetime
import itertools
import json
import uuid
from typing import Any

from ders.domain import telemetry

MOST_INTERVALS = 3000
LONGEST_TEXT = 100
INTERVAL_SECONDS = frozenset({60, 300, 900, 1800, 3600})
# A device that sends more than this in one interval of at most an hour is broken.
MOST_WH = 1_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class CommandAcknowledged:
    """The device will do what the command asks."""

    event_id: str
    command_id: uuid.UUID
    kind: str = "command.acknowledged"


@dataclasses.dataclass(frozen=True, slots=True)
class CommandRefused:
    """The device will not."""

    event_id: str
    command_id: uuid.UUID
    reason: str
    kind: str = "command.refused"


@dataclasses.dataclass(frozen=True, slots=True)
class Telemetry:
    """What a device measured."""

    event_id: str
    device_id: str
    intervals: tuple[telemetry.Interval, ...]
    kind: str = "telemetry"


class MalformedError(ValueError):
    """The message is not one of ours; the text says what is wrong with it."""


def parse(*, body: bytes) -> CommandAcknowledged | CommandRefused | Telemetry:
    """Return the message in a webhook's JSON body.

    :raises MalformedError: a field is missing, unknown or of the wrong form.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError("The body is not JSON.") from error
    if not isinstance(data, dict):
        raise MalformedError("The body is not an object.")
    event_id = _text(data, "event_id")
    match data.get("kind"):
        case "command.acknowledged":
            return CommandAcknowledged(event_id=event_id, command_id=_uuid(data, "command_id"))
        case "command.refused":
            return CommandRefused(event_id=event_id, command_id=_uuid(data, "command_id"), reason=_text(data, "reason"))
        case "telemetry":
            return Telemetry(event_id=event_id, device_id=_text(data, "device_id"), intervals=_intervals(data))
    raise MalformedError("kind is not one of command.acknowledged, command.refused, telemetry.")


def _intervals(data: dict[str, Any]) -> tuple[telemetry.Interval, ...]:
    rows = data.get("intervals")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_INTERVALS:
        raise MalformedError(f"intervals is not a list of 1 to {MOST_INTERVALS}.")
    intervals = tuple(_interval(row, index) for index, row in enumerate(rows))
    if len({interval.seconds for interval in intervals}) > 1:
        raise MalformedError("intervals have different lengths.")
    for before, after in itertools.pairwise(intervals):
        if after.starts_at < before.ends_at:
            raise MalformedError("intervals overlap or are out of order.")
    return intervals


def _interval(row: object, index: int) -> telemetry.Interval:
    if not isinstance(row, dict):
        raise MalformedError(f"intervals[{index}] is not an object.")
    try:
        starts_at = datetime.datetime.fromisoformat(_text(row, "starts_at"))
    except ValueError as error:
        raise MalformedError(f"intervals[{index}].starts_at is not an RFC 3339 time.") from error
    if starts_at.tzinfo is None:
        raise MalformedError(f"intervals[{index}].starts_at has no offset.")
    seconds = row.get("seconds")
    if type(seconds) is not int or seconds not in INTERVAL_SECONDS or starts_at.timestamp() % seconds:
        raise MalformedError(f"intervals[{index}] is not a whole interval of 1, 5, 15, 30 or 60 minutes.")
    return telemetry.Interval(
        starts_at=starts_at.astimezone(datetime.UTC),
        seconds=seconds,
        delivered_wh=_watt_hours(row, "delivered_wh", index),
        received_wh=_watt_hours(row, "received_wh", index),
    )


def _watt_hours(row: dict[str, Any], name: str, index: int) -> int:
    value = row.get(name)
    if type(value) is not int or not 0 <= value <= MOST_WH:
        raise MalformedError(f"intervals[{index}].{name} is not a whole number of Wh from 0 to {MOST_WH}.")
    return value


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TEXT:
        raise MalformedError(f"{name} is not a text of 1 to {LONGEST_TEXT} characters.")
    return value


def _uuid(data: dict[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(_text(data, name))
    except ValueError as error:
        raise MalformedError(f"{name} is not a UUID.") from error
