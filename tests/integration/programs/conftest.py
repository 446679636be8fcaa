"""A web server and a simulated provider that reach each other over HTTP, and a program with devices."""

import dataclasses
import datetime
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from customers import models as customer_models
from ders import models as der_models
from ders import operations as ders
from ders.simulated_provider import server
from openvpp.core import clock, db, jobs
from programs import models
from tests.factories import customers, programs

SLUG = "harbor-devices"
PATIENCE_S = 20


def until(condition: Callable[[], bool], what: str) -> None:
    """Run the jobs that are due until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        jobs.run_due(now=clock.get_now())
        if condition():
            return
        time.sleep(0.05)
    states = list(der_models.Command.objects.values_list("state", "attempts", "detail"))
    pytest.fail(f"{what} did not happen within {PATIENCE_S} s; commands: {states}")


@pytest.fixture
def provider_url(live_server: Any, settings: Any) -> Iterator[str]:
    """A simulated provider that sends its webhooks to the live server."""
    settings.PROGRAMS_ALLOW_PAST_EVENTS = True
    simulated = server.SimulatedProvider(url="http://127.0.0.1:0", webhook_base_url=live_server.url, file=None)
    thread = threading.Thread(target=simulated.serve)
    thread.start()
    yield simulated.url
    simulated.stop()
    thread.join()


@dataclasses.dataclass
class World:
    """A program at a utility, its manager, and the provider of its devices."""

    program: models.Program
    manager: customer_models.User
    provider: der_models.Provider
    starts_at: datetime.datetime
    ends_at: datetime.datetime

    def join(self, device_id: str, power_kw: str = "5", energy_kwh: str = "13.5") -> der_models.Device:
        """Return a registered battery of a customer of their own, with history, in the program."""
        part = programs.join(
            program=self.program,
            provider=self.provider,
            provider_device_id=device_id,
            name=device_id,
            power_kw=power_kw,
            energy_kwh=energy_kwh,
            state=der_models.Device.State.CONNECTING,
        )
        with db.transaction():
            jobs.enqueue(
                name="ders.register_device",
                key=f"ders.register_device:{part.device_id}",
                arguments={"device_id": str(part.device_id)},
                run_at=clock.get_now(),
            )
        ders.seed_history(device_id=part.device_id, until=self.starts_at, days=30, now=self.ends_at)
        rows = der_models.Device.objects.filter(pk=part.device_id)
        until(lambda: rows.filter(state=der_models.Device.State.CONNECTED).exists(), "registration")
        return rows.get()


@pytest.fixture
def world(transactional_db: None, provider_url: str) -> World:
    utility = customers.Utility.create()
    program = programs.Program.create(utility=utility)
    manager = customers.StaffUser.create()
    customers.StaffRole.create(user=manager, utility=utility, role=customer_models.StaffRole.Role.PROGRAM_MANAGER)
    provider = ders.open_provider(
        utility_id=utility.pk, slug=SLUG, name="Harbor Devices", base_url=f"{provider_url}/{SLUG}"
    )
    # The latest Wednesday that is over, 17:00 to 18:00 in New York.
    today = clock.get_now().date()
    day = today - datetime.timedelta(days=(today.weekday() - 2) % 7 or 7)
    starts_at = datetime.datetime.combine(day, datetime.time(22), tzinfo=datetime.UTC)
    return World(
        program=program,
        manager=manager,
        provider=provider,
        starts_at=starts_at,
        ends_at=starts_at + datetime.timedelta(hours=1),
    )
