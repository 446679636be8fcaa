"""Reads of devices, and the locks on them."""

import datetime
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from customers import models as customer_models
from ders import models
from meters import queries as meters
from openvpp.core import db, errors


class UnableToFindDevice(errors.NotFound):
    """No such device, or none that this caller may know of."""


class UnableToFindProvider(errors.NotFound):
    """No such provider at this customer's utility."""


def get_devices(*, user: customer_models.User) -> Any:
    """Return this person's own devices that are not removed, newest first."""
    return (
        models.Device.objects.for_customer(user)
        .exclude(state=models.Device.State.REMOVED)
        .select_related("provider", "customer__utility")
        .order_by("-created_at")
    )


def get_device(*, user: customer_models.User, device_id: uuid.UUID) -> models.Device:
    """Return one of this person's own devices.

    :raises UnableToFindDevice: it is another's, removed or unknown.
    """
    device: models.Device | None = get_devices(user=user).filter(pk=device_id).first()
    if device is None:
        raise UnableToFindDevice("There is no such device of yours.", code="not_found")
    return device


def get_provider(*, user: customer_models.User, slug: str) -> models.Provider:
    """Return an active provider of a utility whose customer this person is.

    :raises UnableToFindProvider: otherwise.
    """
    provider: models.Provider | None = (
        models.Provider.objects.for_customer(user).filter(slug=slug, is_active=True).first()
    )
    if provider is None:
        raise UnableToFindProvider(f"Your utility has no provider {slug}.", code="provider_not_found")
    return provider


def get_commands(*, command_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, models.Command]:
    """Return commands by id."""
    return models.Command.objects.in_bulk(list(command_ids))


def get_net_wh(
    *, device_id: uuid.UUID, starts_at: datetime.datetime, ends_at: datetime.datetime, interval_seconds: int
) -> dict[datetime.datetime, int]:
    """Return a device's net consumption in Wh (discharge is negative) by the start, in UTC, of each interval.

    Only intervals of that length are there; what was not measured is absent.
    """
    read = meters.get_device_intervals(device_key=str(device_id), starts_at=starts_at, ends_at=ends_at)
    return {
        datetime.datetime.fromtimestamp(start, tz=datetime.UTC): wh
        for start, seconds, wh in zip(
            read.starts.tolist(), read.seconds.tolist(), read.whole_units.tolist(), strict=True
        )
        if seconds == interval_seconds
    }


@db.transaction_required
def lock_command(*, command_id: uuid.UUID) -> models.Command:
    """Return a command that nobody else changes until the transaction ends.

    :raises UnableToFindDevice: there is none of that id.
    """
    command = (
        models.Command.objects.select_for_update(of=("self",))
        .select_related("device__provider", "device__customer__utility")
        .filter(pk=command_id)
        .first()
    )
    if command is None:
        raise UnableToFindDevice("There is no such command.", code="not_found")
    return command  # type: ignore[no-any-return] # TenantQuerySet is a queryset of any rows
