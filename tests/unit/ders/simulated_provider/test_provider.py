"""The simulated provider: signed requests only, each command once, nothing forgotten by a restart."""

import datetime
import io
import json
import pathlib
import uuid
from typing import Any

import pytest

from ders.adapters import secrets
from ders.domain import signature
from ders.simulated_provider import cloud as clouds
from ders.simulated_provider import server
from openvpp.core import clock

SLUG = "maker"
START = datetime.datetime(2026, 7, 16, 21, tzinfo=datetime.UTC)
DEVICE = {
    "device_id": "battery-1",
    "kind": "battery",
    "power_kw": "5",
    "energy_kwh": "13.5",
    "time_zone": "America/New_York",
}


def command(device_id: str = "battery-1", command_id: str | None = None) -> dict[str, str]:
    return {
        "command_id": command_id or str(uuid.uuid4()),
        "device_id": device_id,
        "power_kw": "2",
        "starts_at": START.isoformat(),
        "ends_at": (START + datetime.timedelta(hours=1)).isoformat(),
    }


def post(
    cloud: clouds.Cloud, path: str, body: Any, direction: secrets.Direction = secrets.Direction.TO_PROVIDER
) -> tuple[int, dict[str, Any]]:
    """Send a signed request; return status and answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    secret = secrets.derive(slug=SLUG, version=1, direction=direction)
    statuses: list[str] = []
    environ: Any = {
        "PATH_INFO": path,
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
        "HTTP_X_PROVIDER_SIGNATURE": signature.sign(secret=secret, body=content, now=clock.get_now()),
    }
    start: Any = lambda status, _: statuses.append(status)  # noqa: E731 - WSGI's own callable
    answer = b"".join(server.Application(cloud=cloud)(environ, start))
    return int(statuses[0][:3]), json.loads(answer)


def owed(cloud: clouds.Cloud) -> list[dict[str, Any]]:
    """Take what the provider owes."""
    messages = [json.loads(message.body) for message in cloud.outbox]
    cloud.outbox.clear()
    return messages


@pytest.fixture
def cloud() -> clouds.Cloud:
    cloud = clouds.Cloud()
    assert post(cloud, f"/{SLUG}/devices", DEVICE) == (
        200,
        {"device_id": "battery-1", "kind": "battery", "power_kw": "5", "energy_kwh": "13.5"},
    )
    return cloud


def test_a_command_is_acknowledged_once_and_then_measured(cloud: clouds.Cloud) -> None:
    wish = command()
    assert post(cloud, f"/{SLUG}/commands", wish) == (202, {"command_id": wish["command_id"]})
    assert post(cloud, f"/{SLUG}/commands", wish)[0] == 202
    assert [(m["kind"], m["command_id"]) for m in owed(cloud)] == [("command.acknowledged", wish["command_id"])]

    cloud.tick(now=START + datetime.timedelta(minutes=31))
    [message] = owed(cloud)
    assert [interval["starts_at"] for interval in message["intervals"]] == [
        START.isoformat(),
        (START + datetime.timedelta(minutes=15)).isoformat(),
    ]
    assert all(470 - 4 <= interval["received_wh"] <= 500 for interval in message["intervals"])
    cloud.tick(now=START + datetime.timedelta(hours=2))
    assert len(owed(cloud)[0]["intervals"]) == 2
    cloud.tick(now=START + datetime.timedelta(hours=3))
    assert owed(cloud) == []


def test_a_mute_device_is_silent_and_measured_as_usual(cloud: clouds.Cloud) -> None:
    post(cloud, f"/{SLUG}/devices", DEVICE | {"device_id": "mute-1"})
    assert post(cloud, f"/{SLUG}/commands", command("mute-1"))[0] == 202
    assert owed(cloud) == []
    cloud.tick(now=START + datetime.timedelta(hours=1))
    [message] = owed(cloud)
    assert [(i["delivered_wh"], i["received_wh"]) for i in message["intervals"]] == [(4, 0)] * 4


def test_a_window_is_told_again_on_request_under_the_same_name(cloud: clouds.Cloud) -> None:
    ask = {
        "device_ids": ["battery-1"],
        "starts_at": START.isoformat(),
        "ends_at": (START + datetime.timedelta(hours=1)).isoformat(),
    }
    assert post(cloud, f"/{SLUG}/telemetry", ask)[0] == 202
    assert post(cloud, f"/{SLUG}/telemetry", ask)[0] == 202
    first, second = owed(cloud)
    assert first == second


def test_a_restart_forgets_nothing(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "provider.json"
    before, wish = clouds.Cloud(file=file), command()
    post(before, f"/{SLUG}/devices", DEVICE)
    post(before, f"/{SLUG}/commands", wish)

    after = clouds.Cloud(file=file)

    assert owed(after) == owed(before)
    before.tick(now=START + datetime.timedelta(hours=1))
    after.tick(now=START + datetime.timedelta(hours=1))
    assert owed(after) == owed(before)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/maker/commands", command("nobody"), 404),
        ("/maker/commands", b"{", 400),
        ("/maker/commands", command(command_id="1"), 400),
        ("/maker/commands", command() | {"starts_at": "2026-07-16T21:00:00"}, 400),
        ("/maker/devices", {}, 400),
        ("/maker/elsewhere", {}, 404),
        ("/maker", {}, 404),
        ("/maker/devices", b" " * (server.MOST_BYTES + 1), 413),
    ],
)
def test_what_it_cannot_do_it_says(cloud: clouds.Cloud, path: str, body: Any, status: int) -> None:
    assert post(cloud, path, body)[0] == status
    assert owed(cloud) == []


def test_a_message_of_its_own_is_no_request_of_ours(cloud: clouds.Cloud) -> None:
    refused = post(cloud, f"/{SLUG}/commands", command(), direction=secrets.Direction.FROM_PROVIDER)
    assert refused == (401, {"error": "wrong signature"})
    assert owed(cloud) == []
