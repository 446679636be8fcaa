"""Writes that other apps may ask for: providers, devices, commands, telemetry and seeded history."""

import datetime
import decimal
import uuid
import zoneinfo
from collections.abc import Collection, Sequence

from ders import models, queries
from ders.adapters import provider as provider_adapter
from ders.domain import simulation, telemetry
from meters import operations as meters
from meters.domain import units
from openvpp.core import db, errors, jobs, period, upcalls

DECIDED = frozenset(
    {
        models.Command.State.ACKNOWLEDGED,
        models.Command.State.REFUSED,
        models.Command.State.FAILED,
        models.Command.State.EXPIRED,
    }
)


def open_provider(*, utility_id: int, slug: str, name: str, base_url: str) -> models.Provider:
    """Make a provider known, or bring its name and address up to date."""
    provider, _ = models.Provider.objects.update_or_create(
        slug=slug, defaults={"utility_id": utility_id, "name": name, "base_url": base_url}
    )
    return provider


class UnableToAddDevice(errors.UnableTo):
    """The device is connected already, here or by somebody else."""


@db.transaction_required
def add_device(
    *,
    customer_id: int,
    provider_id: int,
    provider_device_id: str,
    name: str,
    kind: models.Device.Kind,
    power_kw: decimal.Decimal,
    energy_kwh: decimal.Decimal | None,
    service_point_id: int | None,
    now: datetime.datetime,
) -> models.Device:
    """Write a device and have it registered with its provider, whose word on its capability then holds.

    :raises UnableToAddDevice: `device_taken` when a device of that id is connected.
    """
    device = models.Device(
        customer_id=customer_id,
        provider_id=provider_id,
        provider_device_id=provider_device_id,
        name=name,
        kind=kind,
        power_kw=power_kw,
        energy_kwh=energy_kwh,
        service_point_id=service_point_id,
        created_at=now,
    )
    models.Device.objects.bulk_create([device], ignore_conflicts=True)
    if not models.Device.objects.filter(pk=device.pk).exists():
        raise UnableToAddDevice("This device is connected already.", code="device_taken")
    jobs.enqueue(
        name="ders.register_device",
        key=f"ders.register_device:{device.pk}",
        arguments={"device_id": str(device.pk)},
        run_at=now,
    )
    return device


@db.transaction_required
def send_command(
    *,
    device_id: uuid.UUID,
    key: str,
    power_kw: decimal.Decimal,
    starts_at: datetime.datetime,
    ends_at: datetime.datetime,
    expires_at: datetime.datetime,
    now: datetime.datetime,
) -> models.Command:
    """Queue a command to lower a device's consumption by `power_kw` on `[starts_at, ends_at)`.

    Asking again under the same `key` returns the same command. The upcall `ders.command_changed` tells what became
    of it; one that is not decided by `expires_at` is expired.
    """
    command = models.Command(
        device_id=device_id,
        key=key,
        power_kw=power_kw,
        starts_at=starts_at,
        ends_at=ends_at,
        expires_at=expires_at,
        created_at=now,
    )
    models.Command.objects.bulk_create([command], ignore_conflicts=True)
    command = models.Command.objects.get(key=key)
    for name, run_at in (("ders.deliver_command", now), ("ders.expire_command", expires_at)):
        jobs.enqueue(name=name, key=f"{name}:{command.pk}", arguments={"command_id": str(command.pk)}, run_at=run_at)
    return command


class UnableToDecideCommand(errors.UnableTo):
    """The command is decided already."""


@db.transaction_required
def decide_command(
    *, command_id: uuid.UUID, state: models.Command.State, detail: str, now: datetime.datetime
) -> models.Command:
    """Write what became of a command, once, and tell the app that asked.

    :raises UnableToDecideCommand: it is decided already.
    """
    command = queries.lock_command(command_id=command_id)
    if command.state in DECIDED:
        raise UnableToDecideCommand(f"The command is {command.state}.", code="command_decided")
    command.state, command.detail, command.decided_at, command.leased_until = state, detail[:300], now, None
    command.save(update_fields=["state", "detail", "decided_at", "leased_until"])
    upcalls.call(event="ders.command_changed", command_id=command.pk, state=state, now=now)
    return command


@db.transaction_required
def record_telemetry(*, device_id: uuid.UUID, intervals: Sequence[telemetry.Interval], now: datetime.datetime) -> None:
    """Write what a device measured, in its net consumption; the same again changes nothing.

    :raises meters.operations.UnableToStoreReadings: it overlaps or contradicts what is stored.
    """
    device = models.Device.objects.select_related("customer").get(pk=device_id)
    meters.record_intervals(
        utility_id=device.customer.utility_id,
        device_key=str(device.pk),
        starts=[int(interval.starts_at.timestamp()) for interval in intervals],
        interval_seconds=intervals[0].seconds,
        energy_wh=[interval.net_wh for interval in intervals],
        flow=units.Flow.NET,
        service_point_id=device.service_point_id,
        now=now,
    )


@db.transaction
def seed_history(*, device_id: uuid.UUID, until: datetime.datetime, days: int, now: datetime.datetime) -> None:
    """Write what a simulated device used by itself, from `days` local days before `until`'s and up to `until`.

    The numbers are those that the simulated provider sends of the same device. A day of which anything is known stays
    as it is, so that doing it again only adds the days since.
    """
    device = models.Device.objects.select_related("customer__utility").get(pk=device_id)
    zone = zoneinfo.ZoneInfo(device.customer.utility.time_zone)
    first = until.astimezone(zone).date() - datetime.timedelta(days=days)
    simulated = simulation.Device(
        device_id=device.provider_device_id,
        kind=device.kind,
        power_w=int(device.power_kw * 1000),
        time_zone=zone.key,
    )
    starts_at = period.local_midnight(day=first, zone=zone).astimezone(datetime.UTC)
    known = queries.get_net_wh(
        device_id=device.pk, starts_at=starts_at, ends_at=until, interval_seconds=simulation.INTERVAL_SECONDS
    )
    known_days = {start.astimezone(zone).date() for start in known}
    intervals = [
        interval
        for interval in simulation.usual_intervals(device=simulated, starts_at=starts_at, ends_at=until)
        if interval.starts_at.astimezone(zone).date() not in known_days
    ]
    if intervals:
        record_telemetry(device_id=device.pk, intervals=intervals, now=now)


@db.durable
def request_telemetry(
    *,
    provider_id: int,
    device_ids: Collection[uuid.UUID],
    starts_at: datetime.datetime,
    ends_at: datetime.datetime,
    now: datetime.datetime,
) -> None:
    """Ask a provider to tell again what its devices measured on `[starts_at, ends_at)`.

    :raises errors.Unreachable: it did not answer.
    :raises errors.Refused: it answered no.
    """
    provider = models.Provider.objects.get(pk=provider_id)
    known = models.Device.objects.filter(provider=provider, pk__in=device_ids).order_by("provider_device_id")
    provider_adapter.Client(provider=provider).request_telemetry(
        device_ids=list(known.values_list("provider_device_id", flat=True)),
        starts_at=starts_at,
        ends_at=ends_at,
        now=now,
    )
