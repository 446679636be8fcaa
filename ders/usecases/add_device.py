"""A customer adds a device; its provider confirms what it can do; the customer takes it away again."""

import datetime
import decimal
import uuid

from customers import models as customer_models
from ders import models, operations, queries
from ders.adapters import provider as provider_adapter
from openvpp.core import db, errors, upcalls

# Of one customer: each is registered with its provider and commanded in every event.
MOST_DEVICES = 50


class UnableToUseServicePoint(errors.Invalid):
    """The service point is not one of this customer's."""


@db.transaction
def add(
    *,
    user: customer_models.User,
    provider_slug: str,
    provider_device_id: str,
    name: str,
    kind: models.Device.Kind,
    power_kw: decimal.Decimal,
    energy_kwh: decimal.Decimal | None,
    service_point_id: int | None,
    now: datetime.datetime,
) -> models.Device:
    """Add a device of this person's; it is `connecting` until its provider confirms it.

    :raises queries.UnableToFindProvider: their utility has no such provider.
    :raises UnableToUseServicePoint: `unknown_service_point`.
    :raises operations.UnableToAddDevice: it is connected already, or the customer has MOST_DEVICES.
    """
    provider = queries.get_provider(user=user, slug=provider_slug)
    customers = customer_models.Customer.objects.for_customer(user).of_utility(provider.utility_id)
    customer = customers.select_for_update(of=("self",), no_key=True).get()
    if queries.get_devices(user=user).filter(customer=customer).count() >= MOST_DEVICES:
        raise operations.UnableToAddDevice(f"You have {MOST_DEVICES} devices. Remove one.", code="too_many_devices")
    points = customer_models.ServicePoint.objects.for_customer(user).of_utility(provider.utility_id)
    if service_point_id is not None and not points.filter(pk=service_point_id).exists():
        raise UnableToUseServicePoint("You take no service at that point.", code="unknown_service_point")
    return operations.add_device(
        customer_id=customer.pk,
        provider_id=provider.pk,
        provider_device_id=provider_device_id,
        name=name,
        kind=kind,
        power_kw=power_kw,
        energy_kwh=energy_kwh,
        service_point_id=service_point_id,
        now=now,
    )


@db.durable
def register(*, device_id: str, now: datetime.datetime) -> None:
    """Register a device with its provider; one that is no longer connecting stays as it is.

    :raises errors.Unreachable: the provider did not answer; run it again.
    """
    device = models.Device.objects.select_related("provider", "customer__utility").get(pk=uuid.UUID(device_id))
    if device.state != models.Device.State.CONNECTING:
        return
    rows = models.Device.objects.filter(pk=device.pk, state=models.Device.State.CONNECTING)
    try:
        capability = provider_adapter.Client(provider=device.provider).register_device(
            device=device, time_zone=device.customer.utility.time_zone, now=now
        )
    except errors.Refused as error:
        rows.update(state=models.Device.State.REFUSED, detail=error.reason[:300])
        return
    rows.update(
        state=models.Device.State.CONNECTED,
        kind=capability.kind,
        power_kw=capability.power_kw,
        energy_kwh=capability.energy_kwh,
    )


@db.transaction
def remove(*, user: customer_models.User, device_id: uuid.UUID, now: datetime.datetime) -> None:
    """Take a device away: it joins no further event. What it measured stays.

    :raises queries.UnableToFindDevice: it is not this person's.
    """
    device = queries.get_device(user=user, device_id=device_id)
    models.Device.objects.filter(pk=device.pk).update(state=models.Device.State.REMOVED, removed_at=now)
    upcalls.call(event="ders.device_removed", device_id=device.pk, now=now)
