"""Reads of programs, enrollments, events and payouts, and the locks on them."""

import datetime
import decimal
import uuid
import zoneinfo
from typing import Any

from django.db import models as django_models

from customers import models as customer_models
from customers import queries as customers
from ders import models as der_models
from openvpp.core import db, errors
from programs import models

MANAGERS = frozenset(
    {customer_models.StaffRole.Role.PROGRAM_MANAGER.value, customer_models.StaffRole.Role.ADMINISTRATOR.value}
)


class UnableToFindProgram(errors.NotFound):
    """No such program, enrollment, event or payout, or none that this caller may know of."""


class UnableToManageProgram(errors.Forbidden):
    """This takes a program manager of the utility."""


def get_programs(*, user: customer_models.User) -> Any:
    """Return the programs of the utilities whose customer this person is."""
    return models.Program.objects.for_customer(user).select_related("utility", "payout_token").order_by("-created_at")


def get_enrollments(*, user: customer_models.User) -> Any:
    """Return this person's own enrollments."""
    return (
        models.Enrollment.objects.for_customer(user)
        .select_related("program")
        .prefetch_related("devices__device")
        .order_by("-applied_at")
    )


def get_event_devices(*, user: customer_models.User) -> Any:
    """Return this person's own parts in events."""
    return (
        models.EventDevice.objects.for_customer(user)
        .select_related("event__program__utility", "device", "command")
        .order_by("-event__starts_at", "pk")
    )


def get_payouts(*, user: customer_models.User) -> Any:
    """Return what this person's own devices earned."""
    return (
        models.Payout.objects.for_customer(user)
        .select_related("settlement__event__program", "event_device__device", "recipient_wallet")
        .order_by("-settlement__computed_at", "pk")
    )


def get_one(*, rows: Any, row_id: uuid.UUID) -> Any:
    """Return one of the rows by its id.

    :raises UnableToFindProgram: it is not among them.
    """
    row = rows.filter(pk=row_id).first()
    if row is None:
        raise UnableToFindProgram("There is no such thing of yours.", code="not_found")
    return row


def require_manager(*, user: customer_models.User, utility_id: int) -> None:
    """Let only a program manager or administrator of the utility pass.

    :raises UnableToManageProgram: anybody else.
    """
    if not customers.has_role(user=user, utility_id=utility_id, roles=MANAGERS):
        raise UnableToManageProgram("This takes a program manager of the utility.", code="program_manager_required")


def get_candidates(*, event: models.Event) -> list[models.EnrollmentDevice]:
    """Return the devices that an event may ask: approved, connected, not taking part in an overlapping event."""
    busy = (
        models.EventDevice.objects.filter(
            event__starts_at__lt=event.ends_at,
            event__ends_at__gt=event.starts_at,
            device=django_models.OuterRef("device"),
        )
        .exclude(event__state=models.Event.State.CANCELLED)
        .exclude(event=event)
    )
    return list(
        models.EnrollmentDevice.objects.filter(
            enrollment__program_id=event.program_id,
            enrollment__state=models.Enrollment.State.APPROVED,
            ended_at__isnull=True,
            device__state=der_models.Device.State.CONNECTED,
            device__customer__wallet__isnull=False,
        )
        .exclude(django_models.Exists(busy))
        .select_related("device__customer")
        .order_by("device__created_at", "device_id")
    )


def get_event_days(*, device_id: uuid.UUID, event: models.Event, zone: zoneinfo.ZoneInfo) -> set[datetime.date]:
    """Return the local days on which a device took part in other events that were not cancelled."""
    rows = (
        models.EventDevice.objects.filter(device_id=device_id)
        .exclude(event=event)
        .exclude(event__state__in=[models.Event.State.CANCELLED, models.Event.State.SCHEDULED])
        .values_list("event__starts_at", "event__ends_at")
    )
    days: set[datetime.date] = set()
    for starts_at, ends_at in rows:
        day, last = starts_at.astimezone(zone).date(), (ends_at - datetime.timedelta(microseconds=1)).astimezone(zone)
        while day <= last.date():
            days.add(day)
            day += datetime.timedelta(days=1)
    return days


def get_event(*, event_id: uuid.UUID) -> models.Event:
    """Return an event with its program and utility.

    :raises UnableToFindProgram: there is none.
    """
    event: models.Event | None = (
        models.Event.objects.select_related("program__utility", "program__treasury_wallet").filter(pk=event_id).first()
    )
    if event is None:
        raise UnableToFindProgram("There is no such event.", code="not_found")
    return event


@db.transaction_required
def lock_event(*, event_id: uuid.UUID) -> models.Event:
    """Return an event that nobody else changes until the transaction ends.

    :raises UnableToFindProgram: there is none of that id.
    """
    event: models.Event | None = (
        models.Event.objects.select_for_update(of=("self",))
        .select_related("program__utility", "program__payout_token", "program__treasury_wallet")
        .filter(pk=event_id)
        .first()
    )
    if event is None:
        raise UnableToFindProgram("There is no such event.", code="not_found")
    return event


@db.transaction_required
def lock_program(*, program_id: uuid.UUID) -> None:
    """Let nobody else choose devices of this program until the transaction ends."""
    models.Program.objects.select_for_update(no_key=True).get(pk=program_id)


@db.transaction_required
def lock_enrollment(*, enrollment_id: uuid.UUID) -> models.Enrollment:
    """Return an enrollment that nobody else changes until the transaction ends.

    :raises UnableToFindProgram: there is none of that id.
    """
    enrollment: models.Enrollment | None = (
        models.Enrollment.objects.select_for_update(of=("self",))
        .select_related("program", "customer")
        .filter(pk=enrollment_id)
        .first()
    )
    if enrollment is None:
        raise UnableToFindProgram("There is no such enrollment.", code="not_found")
    return enrollment


def hours(*, event: models.Event) -> decimal.Decimal:
    """Return how long an event lasts."""
    return decimal.Decimal(int((event.ends_at - event.starts_at).total_seconds())) / 3600
