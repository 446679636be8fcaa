"""A simulated provider and the web server that takes its webhooks, both over real HTTP, in threads of this process."""

import dataclasses
import datetime
import json
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from ders.adapters import secrets
from ders.domain import signature
from ders.simulated_provider import server
from openvpp.core import clock, jobs

PATIENCE_S = 30


@dataclasses.dataclass(frozen=True)
class Provider:
    """Where the provider answers, and where it sends its messages."""

    url: str
    webhook_url: str

    def tell_telemetry(self, *, slug: str, device_id: str, starts_at: datetime.datetime, net_wh: Sequence[int]) -> None:
        """Send quarter hours of net consumption as the provider would: signed, over HTTP."""
        intervals = [
            {
                "starts_at": (starts_at + datetime.timedelta(minutes=15 * index)).isoformat(),
                "seconds": 900,
                "delivered_wh": max(wh, 0),
                "received_wh": max(-wh, 0),
            }
            for index, wh in enumerate(net_wh)
        ]
        message = {"event_id": uuid.uuid4().hex, "kind": "telemetry", "device_id": device_id, "intervals": intervals}
        body = json.dumps(message).encode()
        secret = secrets.derive(slug=slug, version=1, direction=secrets.Direction.FROM_PROVIDER)
        header = signature.sign(secret=secret, body=body, now=clock.get_now())
        request = urllib.request.Request(
            f"{self.webhook_url}/api/v1/providers/{slug}/webhooks/",
            body,
            {"Content-Type": "application/json", signature.HEADER: header},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer) == {"status": "accepted"}


@pytest.fixture
def provider(live_server: Any, settings: Any) -> Iterator[Provider]:
    """A simulated provider that sends its messages to the live server; events may lie in the past."""
    settings.PROGRAMS_ALLOW_PAST_EVENTS = True
    simulated = server.SimulatedProvider(url="http://127.0.0.1:0", webhook_base_url=live_server.url, file=None)
    thread = threading.Thread(target=simulated.serve)
    thread.start()
    yield Provider(url=simulated.url, webhook_url=live_server.url)
    simulated.stop()
    thread.join()


def until(condition: Callable[[], bool], what: str) -> None:
    """Run the jobs that are due until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        jobs.run_due(now=clock.get_now())
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {PATIENCE_S} s")


def latest_wednesday_evening(*, now: datetime.datetime) -> datetime.datetime:
    """Return 22:00 UTC, late afternoon in New York, of the latest Wednesday whose evening is over."""
    day = now.date() - datetime.timedelta(days=(now.date().weekday() - 2) % 7 or 7)
    return datetime.datetime.combine(day, datetime.time(22), tzinfo=datetime.UTC)
