"""A web server and a simulated provider that reach each other over HTTP, and a program with devices."""

import dataclasses
import datetime

import pytest

from customers import models as customer_models
from ders import models as der_models
from ders import operations as ders
from openvpp.core import clock, db, jobs
from programs import models
from tests import provider_fixture
from tests.factories import customers, programs

SLUG = "harbor-devices"
until = provider_fixture.until


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
        device: der_models.Device = rows.get()
        return device


@pytest.fixture
def world(transactional_db: None, provider: provider_fixture.Provider) -> World:
    utility = customers.Utility.create()
    program = programs.Program.create(utility=utility)
    manager = customers.StaffUser.create()
    customers.StaffRole.create(user=manager, utility=utility, role=customer_models.StaffRole.Role.PROGRAM_MANAGER)
    row = ders.open_provider(utility_id=utility.pk, slug=SLUG, name="Harbor Devices", base_url=f"{provider.url}/{SLUG}")
    starts_at = provider_fixture.latest_wednesday_evening(now=clock.get_now())
    return World(
        program=program,
        manager=manager,
        provider=row,
        starts_at=starts_at,
        ends_at=starts_at + datetime.timedelta(hours=1),
    )
