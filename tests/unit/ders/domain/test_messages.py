"""Webhook messages are wholly right or refused."""

import datetime
import json
import uuid
from typing import Any

import pytest

from ders.domain import messages, telemetry

COMMAND_ID = "7b7d0f3e-6e0e-4c6e-9d0a-1f2e3d4c5b6a"
INTERVAL = {"starts_at": "2026-07-16T17:00:00-04:00", "seconds": 900, "delivered_wh": 0, "received_wh": 640}


def parse(**fields: Any) -> object:
    return messages.parse(body=json.dumps({"event_id": "e1", **fields}).encode())


def test_an_acknowledgement_is_read() -> None:
    assert parse(kind="command.acknowledged", command_id=COMMAND_ID) == messages.CommandAcknowledged(
        event_id="e1", command_id=uuid.UUID(COMMAND_ID)
    )


def test_a_refusal_is_read() -> None:
    assert parse(kind="command.refused", command_id=COMMAND_ID, reason="offline") == messages.CommandRefused(
        event_id="e1", command_id=uuid.UUID(COMMAND_ID), reason="offline"
    )


def test_telemetry_is_read_in_utc() -> None:
    starts_at = datetime.datetime(2026, 7, 16, 21, tzinfo=datetime.UTC)
    interval = telemetry.Interval(starts_at=starts_at, seconds=900, delivered_wh=0, received_wh=640)
    assert interval.net_wh == -640
    assert parse(kind="telemetry", device_id="d", intervals=[INTERVAL]) == messages.Telemetry(
        event_id="e1", device_id="d", intervals=(interval,)
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"starts_at": "2026-07-16T17:00:00"}, "no offset"),
        ({"starts_at": "yesterday"}, "RFC 3339"),
        ({"starts_at": "2026-07-16T17:05:00-04:00"}, "whole interval"),
        ({"seconds": 0}, "whole interval"),
        ({"seconds": True}, "whole interval"),
        ({"seconds": 900.0}, "whole interval"),
        ({"delivered_wh": -1}, "delivered_wh"),
        ({"delivered_wh": 1.5}, "delivered_wh"),
        ({"received_wh": 10**10}, "received_wh"),
        ({"received_wh": True}, "received_wh"),
    ],
)
def test_a_wrong_interval_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(messages.MalformedError, match=words):
        parse(kind="telemetry", device_id="d", intervals=[INTERVAL | change])


def test_intervals_that_overlap_are_refused() -> None:
    with pytest.raises(messages.MalformedError, match="overlap"):
        parse(kind="telemetry", device_id="d", intervals=[INTERVAL, INTERVAL])


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(messages.MalformedError):
        messages.parse(body=body)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "telemetry", "device_id": "d", "intervals": []},
        {"kind": "telemetry", "device_id": "d" * 101, "intervals": [INTERVAL]},
        {"kind": "command.acknowledged", "command_id": "1"},
        {"kind": "command.acknowledged", "command_id": COMMAND_ID, "event_id": ""},
        {"kind": "command.forgotten", "command_id": COMMAND_ID},
    ],
)
def test_a_message_of_the_wrong_form_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(messages.MalformedError):
        parse(**fields)
