"""The seeded utility's program, its provider, and Ben's devices with nine weeks of history."""

import dataclasses
import datetime
import decimal
import zoneinfo

from django.conf import settings

from customers import models as customer_models
from ders import models as der_models
from ders import operations as ders
from openvpp.core import db, period
from programs import models as program_models
from wallets import models as wallet_models

PROVIDER_SLUG = "harbor-simulated"
PROGRAM_NAME = "Evening Peak Rewards"
# Ten weekend days without events, and as many working days, with room for a few events.
HISTORY_DAYS = 63
TERMS = (
    "When the evening peak strains the grid we ask your battery and thermostat to help for an hour or two. You are "
    "paid for each kWh that they save against their usual use on the ten latest days of the same kind. You may leave "
    "at any time; nothing is ever taken from you."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A device that is to be connected."""

    provider_device_id: str
    name: str
    kind: der_models.Device.Kind
    power_kw: str
    energy_kwh: str = ""


DEVICES = (
    Wanted(
        provider_device_id="ben-battery-1",
        name="Garage battery",
        kind=der_models.Device.Kind.BATTERY,
        power_kw="5.0",
        energy_kwh="13.5",
    ),
    Wanted(
        provider_device_id="ben-thermostat-1",
        name="Hall thermostat",
        kind=der_models.Device.Kind.THERMOSTAT,
        power_kw="2.5",
    ),
    # Its simulated maker lets it acknowledge commands and do nothing: it is asked, and it earns nothing.
    Wanted(
        provider_device_id="idle-ben-battery-2",
        name="Cellar battery, switched off",
        kind=der_models.Device.Kind.BATTERY,
        power_kw="2.0",
        energy_kwh="6.0",
    ),
)


@db.transaction
def seed_program(
    *, utility: customer_models.Utility, treasury: wallet_models.Wallet, now: datetime.datetime
) -> program_models.Program:
    """Offer the program, paid from its own treasury wallet."""
    program, _ = program_models.Program.objects.get_or_create(
        utility=utility,
        name=PROGRAM_NAME,
        defaults={
            "kind": program_models.Program.Kind.DEMAND_RESPONSE,
            "description": "Batteries and thermostats help on summer and winter evenings.",
            "terms": TERMS,
            "eligibility": {"device_kinds": ["battery", "thermostat"], "min_power_kw": "0.5"},
            "payout_usd_per_kwh": decimal.Decimal("2.00"),
            "payout_token": utility.tokens.get(pays_bills=True),
            "treasury_wallet": treasury,
            "created_at": now,
        },
    )
    return program


def seed_devices(
    *, utility: customer_models.Utility, customer: customer_models.Customer, now: datetime.datetime
) -> list[der_models.Device]:
    """Connect two batteries and a thermostat, with what they used on the days before today."""
    provider = ders.open_provider(
        utility_id=utility.pk,
        slug=PROVIDER_SLUG,
        name="Harbor Devices (simulated)",
        base_url=f"{settings.PROVIDER_URL}/{PROVIDER_SLUG}",
    )
    found = []
    for wanted in DEVICES:
        device = der_models.Device.objects.filter(
            provider=provider, provider_device_id=wanted.provider_device_id, removed_at=None
        ).first()
        if device is None:
            device = _add(wanted=wanted, customer=customer, provider=provider, now=now)
        ders.seed_history(device_id=device.pk, until=_today(utility, now=now), days=HISTORY_DAYS, now=now)
        found.append(device)
    return found


@db.transaction
def _add(
    *, wanted: Wanted, customer: customer_models.Customer, provider: der_models.Provider, now: datetime.datetime
) -> der_models.Device:
    point = customer_models.ServicePoint.objects.filter(agreements__account__accesses__customer=customer).first()
    return ders.add_device(
        customer_id=customer.pk,
        provider_id=provider.pk,
        provider_device_id=wanted.provider_device_id,
        name=wanted.name,
        kind=wanted.kind,
        power_kw=decimal.Decimal(wanted.power_kw),
        energy_kwh=decimal.Decimal(wanted.energy_kwh) if wanted.energy_kwh else None,
        service_point_id=point.pk if point else None,
        now=now,
    )


def _today(utility: customer_models.Utility, *, now: datetime.datetime) -> datetime.datetime:
    zone = zoneinfo.ZoneInfo(utility.time_zone)
    return period.local_midnight(day=now.astimezone(zone).date(), zone=zone)
