"""Webhooks: believed when signed, fresh and new; acted on once; nothing half stored."""

import datetime
import json
from typing import Any

import pytest
from django import test

from ders import models, queries
from ders.adapters import secrets
from ders.domain import signature
from openvpp.core import clock
from tests.factories import ders

START = datetime.datetime(2026, 7, 1, 21, tzinfo=datetime.UTC)


@pytest.fixture
def command(db: None) -> models.Command:
    command: models.Command = ders.Command.create()
    return command


def send(
    provider: models.Provider,
    message: Any,
    *,
    late: datetime.timedelta = datetime.timedelta(),
    slug: str | None = None,
    version: int | None = None,
    direction: secrets.Direction = secrets.Direction.FROM_PROVIDER,
    header: str | None = None,
) -> Any:
    """Send a message as the provider would, or as somebody else would."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    secret = secrets.derive(
        slug=provider.slug, version=provider.secret_version if version is None else version, direction=direction
    )
    signed = signature.sign(secret=secret, body=body, now=clock.get_now() - late)
    return test.Client().post(
        f"/api/v1/providers/{slug or provider.slug}/webhooks/",
        body,
        "application/json",
        headers={signature.HEADER: signed if header is None else header},
    )


def acknowledgement(command: models.Command, event_id: str = "e1") -> dict[str, str]:
    return {"event_id": event_id, "kind": "command.acknowledged", "command_id": str(command.pk)}


def telemetry(device: models.Device, event_id: str = "t1", starts_at: datetime.datetime = START) -> dict[str, Any]:
    interval = {"starts_at": starts_at.isoformat(), "seconds": 900, "delivered_wh": 0, "received_wh": 640}
    return {"event_id": event_id, "kind": "telemetry", "device_id": device.provider_device_id, "intervals": [interval]}


def stored(device: models.Device) -> dict[datetime.datetime, int]:
    return queries.get_net_wh(
        device_id=device.pk, starts_at=START, ends_at=START + datetime.timedelta(hours=1), interval_seconds=900
    )


def test_an_acknowledgement_decides_the_command_once(command: models.Command) -> None:
    first = send(command.device.provider, acknowledgement(command))
    again = send(command.device.provider, acknowledgement(command))
    other = send(
        command.device.provider,
        {"event_id": "e2", "kind": "command.refused", "command_id": str(command.pk), "reason": "offline"},
    )

    assert (first.status_code, first.json()) == (200, {"status": "accepted"})
    assert (again.status_code, again.json()) == (200, {"status": "duplicate"})
    assert other.status_code == 200
    command.refresh_from_db()
    assert (command.state, command.detail) == ("acknowledged", "")


def test_a_refusal_is_kept_with_its_reason(command: models.Command) -> None:
    message = {"event_id": "e2", "kind": "command.refused", "command_id": str(command.pk), "reason": "offline"}
    assert send(command.device.provider, message).status_code == 200
    command.refresh_from_db()
    assert (command.state, command.detail) == ("refused", "offline")


def test_telemetry_goes_to_the_meters_in_net_consumption(command: models.Command) -> None:
    device = command.device
    assert send(device.provider, telemetry(device)).json() == {"status": "accepted"}
    assert send(device.provider, telemetry(device)).json() == {"status": "duplicate"}
    assert stored(device) == {START: -640}


@pytest.mark.parametrize(
    "forged",
    [
        {"header": ""},
        {"header": "t=1,v1=" + "0" * 64},
        {"late": datetime.timedelta(minutes=6)},
        {"late": datetime.timedelta(minutes=-6)},
        {"version": 2},
        {"direction": secrets.Direction.TO_PROVIDER},
        {"slug": "nobody"},
    ],
)
def test_what_is_not_signed_by_the_provider_now_is_refused_alike(
    command: models.Command, forged: dict[str, Any]
) -> None:
    refused = send(command.device.provider, acknowledgement(command), **forged)

    assert (refused.status_code, refused.json()["code"]) == (401, "not_signed")
    command.refresh_from_db()
    assert command.state == "queued"
    assert not models.WebhookEvent.objects.exists()


def test_a_provider_decides_only_its_own_commands(command: models.Command) -> None:
    stranger = ders.Provider.create()

    refused = send(stranger, acknowledgement(command))

    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_command")
    command.refresh_from_db()
    assert command.state == "queued"
    assert not models.WebhookEvent.objects.exists()


def test_a_provider_speaks_only_of_its_own_devices(command: models.Command) -> None:
    refused = send(ders.Provider.create(), telemetry(command.device))
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_device")
    assert stored(command.device) == {}


def test_a_provider_that_is_switched_off_is_not_believed(command: models.Command) -> None:
    models.Provider.objects.update(is_active=False)
    assert send(command.device.provider, acknowledgement(command)).status_code == 401


@pytest.mark.parametrize("days", [1, -401])
def test_telemetry_of_an_impossible_time_is_refused(command: models.Command, days: int) -> None:
    now = clock.get_now().replace(minute=0, second=0, microsecond=0)
    message = telemetry(command.device, starts_at=now + datetime.timedelta(days=days))
    refused = send(command.device.provider, message)
    assert (refused.status_code, refused.json()["code"]) == (422, "impossible_time")
    assert not models.WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    ("direction", "most", "net"), [("delivered_wh", 12_500, 12_500), ("received_wh", 1_562, -1_562)]
)
def test_energy_that_the_device_cannot_use_or_give_is_refused(
    command: models.Command, direction: str, most: int, net: int
) -> None:
    # 5 kW for a quarter of an hour are 1250 Wh: ten times that taken, a quarter more given is the most believed.
    message = telemetry(command.device)
    message["intervals"][0] |= {"delivered_wh": 0, "received_wh": 0, direction: most + 1}
    refused = send(command.device.provider, message)
    assert (refused.status_code, refused.json()["code"]) == (422, "implausible_energy")
    assert stored(command.device) == {}
    message["intervals"][0][direction] = most
    assert send(command.device.provider, message).status_code == 200
    assert stored(command.device) == {START: net}


def test_a_message_that_cannot_be_read_may_be_sent_again_right(command: models.Command) -> None:
    refused = send(command.device.provider, {"event_id": "e1", "kind": "telemetry"})
    assert (refused.status_code, refused.json()["code"]) == (422, "malformed")
    assert send(command.device.provider, acknowledgement(command, "e1")).json() == {"status": "accepted"}


def test_another_type_of_content_is_refused(command: models.Command) -> None:
    answer = test.Client().post(f"/api/v1/providers/{command.device.provider.slug}/webhooks/", b"a=1", "text/plain")
    assert answer.status_code == 415
