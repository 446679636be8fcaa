"""A program manager schedules an event and dispatches it: shares, commands, acknowledgements, the window."""

import datetime
import decimal
import uuid

from django.conf import settings

from customers import models as customer_models
from ders import models as der_models
from ders import operations as ders
from notifications import models as notice_models
from notifications import operations as notifications
from openvpp.core import db, errors, jobs, period
from programs import models, queries
from programs.domain import baseline, shares

State = models.Event.State
LONGEST = datetime.timedelta(hours=24)
# How long providers have to acknowledge commands of a window that is over, where such events are allowed.
LATE_ANSWER = datetime.timedelta(minutes=10)


class UnableToScheduleEvent(errors.Invalid):
    """The window or the target is not one that an event can have."""


@db.transaction
def schedule(
    *,
    program_id: uuid.UUID,
    name: str,
    target_kw: decimal.Decimal,
    window: period.Period,
    by: customer_models.User,
    now: datetime.datetime,
) -> models.Event:
    """Write an event for `window`, on whole quarters of an hour.

    A window that has begun is allowed only where PROGRAMS_ALLOW_PAST_EVENTS is set, to play an event with a
    simulated provider.

    :raises queries.UnableToManageProgram: `by` is not a program manager of the utility.
    :raises UnableToScheduleEvent: `window_not_aligned`, `window_too_long`, `window_has_begun` or `bad_target`.
    """
    program = queries.get_one(rows=models.Program.objects.all(), row_id=program_id)
    queries.require_manager(user=by, utility_id=program.utility_id)
    require_schedulable(window=window, target_kw=target_kw, now=now)
    event: models.Event = models.Event.objects.create(
        program=program,
        name=name,
        target_kw=target_kw,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        created_by=by,
        created_at=now,
    )
    return event


def require_schedulable(*, window: period.Period, target_kw: decimal.Decimal, now: datetime.datetime) -> None:
    """Let only a window and a target pass that an event can have.

    :raises UnableToScheduleEvent: see `schedule`.
    """
    try:
        baseline.intervals(window=window)
    except ValueError as error:
        raise UnableToScheduleEvent(str(error), code="window_not_aligned") from error
    if window.duration > LONGEST:
        raise UnableToScheduleEvent("An event lasts at most 24 hours.", code="window_too_long")
    if window.starts_at <= now and not settings.PROGRAMS_ALLOW_PAST_EVENTS:
        raise UnableToScheduleEvent("The window has begun already.", code="window_has_begun")
    if target_kw <= 0 or target_kw * shares.WATTS_PER_KW % 1:
        raise UnableToScheduleEvent("The target is a positive number of whole watts.", code="bad_target")


class UnableToDispatchEvent(errors.UnableTo):
    """The event was dispatched already, is over, or has no devices to ask."""


@db.transaction
def dispatch(*, event_id: uuid.UUID, by: customer_models.User, now: datetime.datetime) -> models.Event:
    """Share the target over the program's devices, queue a command for each, and tell their owners.

    With less available than the target asks for, everybody is asked for all that they have.

    :raises queries.UnableToManageProgram: `by` is not a program manager of the utility.
    :raises UnableToDispatchEvent: `event_not_scheduled`, `window_is_over` or `no_devices`; nothing is sent.
    """
    event = queries.lock_event(event_id=event_id)
    queries.require_manager(user=by, utility_id=event.program.utility_id)
    if event.state != State.SCHEDULED:
        raise UnableToDispatchEvent(f"The event is {event.state}.", code="event_not_scheduled")
    if event.ends_at <= now and not settings.PROGRAMS_ALLOW_PAST_EVENTS:
        raise UnableToDispatchEvent("The window is over.", code="window_is_over")
    # Two events of one program that overlap must not both ask the same device.
    queries.lock_program(program_id=event.program_id)
    devices = {part.device_id: part.device for part in queries.get_candidates(event=event)}
    hours = queries.hours(event=event)
    available = {
        device.pk: shares.available_kw(power_kw=device.power_kw, energy_kwh=device.energy_kwh, hours=hours)
        for device in devices.values()
    }
    available = {device_id: kw for device_id, kw in available.items() if kw > 0}
    if not available:
        raise UnableToDispatchEvent("No device of the program can take part in this window.", code="no_devices")
    for device_id, share_kw in shares.apportion(target_kw=event.target_kw, available=available).items():
        _ask(event=event, device=devices[device_id], available_kw=available[device_id], share_kw=share_kw, now=now)
    event.state, event.dispatched_at = State.DISPATCHING, now
    event.save(update_fields=["state", "dispatched_at"])
    for moment in (event.starts_at, event.ends_at):
        jobs.enqueue(
            name="programs.advance_event",
            key=f"programs.advance_event:{event.pk}:{moment.isoformat()}",
            arguments={"event_id": str(event.pk)},
            run_at=moment,
        )
    _tell(event=event, now=now)
    return event


@db.transaction
def advance(*, event_id: str, now: datetime.datetime) -> None:
    """Move a dispatched event to active or ended as the clock says; one that is past that stays as it is."""
    event = queries.lock_event(event_id=uuid.UUID(event_id))
    if event.state not in {State.DISPATCHING, State.ACTIVE}:
        return
    if now >= event.ends_at:
        event.state = State.ENDED
    elif now >= event.starts_at:
        event.state = State.ACTIVE
    event.save(update_fields=["state"])


@db.transaction_required
def note_command(*, command_id: uuid.UUID, state: str, now: datetime.datetime) -> None:
    """Write that a device's provider acknowledged its command; commands of others are none of ours."""
    if state == der_models.Command.State.ACKNOWLEDGED:
        models.EventDevice.objects.filter(command_id=command_id, acknowledged_at=None).update(acknowledged_at=now)


class UnableToCancelEvent(errors.UnableTo):
    """The event was dispatched already, or is over."""


@db.transaction
def cancel(*, event_id: uuid.UUID, by: customer_models.User, now: datetime.datetime) -> models.Event:
    """Cancel an event that was not dispatched.

    :raises queries.UnableToManageProgram: `by` is not a program manager of the utility.
    :raises UnableToCancelEvent: `event_not_scheduled`.
    """
    event = queries.lock_event(event_id=event_id)
    queries.require_manager(user=by, utility_id=event.program.utility_id)
    if event.state != State.SCHEDULED:
        raise UnableToCancelEvent(f"The event is {event.state}.", code="event_not_scheduled")
    event.state, event.cancelled_at = State.CANCELLED, now
    event.save(update_fields=["state", "cancelled_at"])
    return event


def _ask(
    *,
    event: models.Event,
    device: der_models.Device,
    available_kw: decimal.Decimal,
    share_kw: decimal.Decimal,
    now: datetime.datetime,
) -> None:
    part = models.EventDevice(event=event, device=device, available_kw=available_kw, share_kw=share_kw)
    part.command = ders.send_command(
        device_id=device.pk,
        key=f"programs.event:{event.pk}:{device.pk}",
        power_kw=share_kw,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        expires_at=max(event.ends_at, now + LATE_ANSWER) if settings.PROGRAMS_ALLOW_PAST_EVENTS else event.ends_at,
        now=now,
    )
    part.save(force_insert=True)


def _tell(*, event: models.Event, now: datetime.datetime) -> None:
    owners = models.EventDevice.objects.filter(event=event, device__customer__user__isnull=False)
    notifications.tell(
        user_ids=sorted(set(owners.values_list("device__customer__user_id", flat=True))),
        utility_id=event.program.utility_id,
        kind=notice_models.Notice.Kind.EVENT_SCHEDULED,
        key=f"event.scheduled:{event.pk}",
        title=f"{event.program.name}: {event.name}",
        body="Your devices are asked to help. You need to do nothing.",
        data={
            "event_id": str(event.pk),
            "starts_at": event.starts_at.isoformat(),
            "ends_at": event.ends_at.isoformat(),
        },
        now=now,
    )
