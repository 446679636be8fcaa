"""A customer applies to a program, its manager decides, the customer leaves."""

import datetime
import uuid
from collections.abc import Collection

from customers import models as customer_models
from ders import models as der_models
from ders import queries as ders
from notifications import models as notice_models
from notifications import operations as notifications
from openvpp.core import db, errors
from programs import models, queries
from programs.domain import eligibility
from wallets import queries as wallets

State = models.Enrollment.State


class UnableToApply(errors.UnableTo):
    """The program is closed, its terms changed, a device is not eligible, or the customer is in already."""


@db.transaction
def apply(
    *,
    user: customer_models.User,
    program_id: uuid.UUID,
    device_ids: Collection[uuid.UUID],
    terms_version: int,
    now: datetime.datetime,
) -> models.Enrollment:
    """Apply with devices of one's own, agreeing to that version of the terms.

    :raises queries.UnableToFindProgram: none of this person's utilities offers it.
    :raises ders.queries.UnableToFindDevice: a device is not this person's.
    :raises UnableToApply: `program_closed`, `terms_changed`, `no_devices`, `device_not_eligible`, `device_enrolled`,
        `already_enrolled` or `wallet_missing`.
    """
    program: models.Program = queries.get_one(rows=queries.get_programs(user=user), row_id=program_id)
    if not program.is_open:
        raise UnableToApply("The program takes nobody now.", code="program_closed")
    if terms_version != program.terms_version:
        raise UnableToApply(
            f"The terms are now version {program.terms_version}. Read them and apply again.", code="terms_changed"
        )
    if not device_ids:
        raise UnableToApply("Name at least one device.", code="no_devices")
    devices = [ders.get_device(user=user, device_id=device_id) for device_id in sorted(set(device_ids))]
    customer = customer_models.Customer.objects.for_customer(user).of_utility(program.utility_id).get()
    if wallets.get_wallet_of(customer) is None:
        raise UnableToApply("Your wallet is still being made. Try again shortly.", code="wallet_missing")
    rules = eligibility.Rules.from_data(program.eligibility)
    for device in devices:
        _require_eligible(device=device, customer=customer, rules=rules)
    return _write(program=program, customer=customer, devices=devices, now=now)


class UnableToDecide(errors.UnableTo):
    """The enrollment is not waiting for a decision."""


@db.transaction
def decide(
    *, enrollment_id: uuid.UUID, approve: bool, reason: str, by: customer_models.User, now: datetime.datetime
) -> models.Enrollment:
    """Approve or refuse an application, and tell the customer.

    :raises queries.UnableToManageProgram: `by` is not a program manager of the utility.
    :raises UnableToDecide: `enrollment_decided`.
    """
    enrollment = queries.lock_enrollment(enrollment_id=enrollment_id)
    queries.require_manager(user=by, utility_id=enrollment.program.utility_id)
    if enrollment.state != State.APPLIED:
        raise UnableToDecide(f"The enrollment is {enrollment.state}.", code="enrollment_decided")
    enrollment.state = State.APPROVED if approve else State.REFUSED
    enrollment.decided_at, enrollment.decided_by, enrollment.reason = now, by, reason[:300]
    enrollment.save(update_fields=["state", "decided_at", "decided_by", "reason"])
    if not approve:
        models.EnrollmentDevice.objects.filter(enrollment=enrollment, ended_at=None).update(ended_at=now)
    if enrollment.customer.user_id is not None:
        notifications.tell(
            user_ids=[enrollment.customer.user_id],
            utility_id=enrollment.program.utility_id,
            kind=notice_models.Notice.Kind.ENROLLMENT_DECIDED,
            key=f"enrollment.decided:{enrollment.pk}",
            title=f"You are in {enrollment.program.name}" if approve else f"Not this time: {enrollment.program.name}",
            body="Your devices may be asked to help from now on." if approve else (reason or "It was not approved."),
            data={"enrollment_id": str(enrollment.pk), "state": enrollment.state},
            now=now,
        )
    return enrollment


class UnableToLeave(errors.UnableTo):
    """The enrollment is over already."""


@db.transaction
def leave(*, user: customer_models.User, enrollment_id: uuid.UUID, now: datetime.datetime) -> models.Enrollment:
    """Leave a program: its devices join no further event. What they earned is paid.

    :raises queries.UnableToFindProgram: it is not this person's.
    :raises UnableToLeave: `enrollment_over`.
    """
    queries.get_one(rows=queries.get_enrollments(user=user), row_id=enrollment_id)
    enrollment = queries.lock_enrollment(enrollment_id=enrollment_id)
    if enrollment.state not in {State.APPLIED, State.APPROVED}:
        raise UnableToLeave(f"The enrollment is {enrollment.state}.", code="enrollment_over")
    _end(enrollment=enrollment, now=now)
    return enrollment


@db.transaction_required
def forget_device(*, device_id: uuid.UUID, now: datetime.datetime) -> None:
    """Take a removed device out of its program; without devices its enrollment is over."""
    for part in models.EnrollmentDevice.objects.filter(device_id=device_id, ended_at=None):
        models.EnrollmentDevice.objects.filter(pk=part.pk).update(ended_at=now)
        enrollment = queries.lock_enrollment(enrollment_id=part.enrollment_id)
        if not enrollment.devices.filter(ended_at=None).exists():
            _end(enrollment=enrollment, now=now)


def _end(*, enrollment: models.Enrollment, now: datetime.datetime) -> None:
    enrollment.state, enrollment.left_at = State.LEFT, now
    enrollment.save(update_fields=["state", "left_at"])
    models.EnrollmentDevice.objects.filter(enrollment=enrollment, ended_at=None).update(ended_at=now)


def _require_eligible(
    *, device: der_models.Device, customer: customer_models.Customer, rules: eligibility.Rules
) -> None:
    if device.customer_id != customer.pk or device.state == der_models.Device.State.REFUSED:
        raise UnableToApply(f"{device.name} is not connected at this utility.", code="device_not_eligible")
    verdict = rules.judge(
        kind=device.kind,
        power_kw=device.power_kw,
        postal_code=device.service_point.premise.postal_code if device.service_point else None,
    )
    if isinstance(verdict, eligibility.Denied):
        raise UnableToApply(f"{device.name}: {verdict.reason}", code="device_not_eligible")


def _write(
    *,
    program: models.Program,
    customer: customer_models.Customer,
    devices: Collection[der_models.Device],
    now: datetime.datetime,
) -> models.Enrollment:
    enrollment = models.Enrollment(
        program=program,
        customer=customer,
        terms=program.terms,
        terms_version=program.terms_version,
        applied_at=now,
    )
    models.Enrollment.objects.bulk_create([enrollment], ignore_conflicts=True)
    if not models.Enrollment.objects.filter(pk=enrollment.pk).exists():
        raise UnableToApply("You are in this program already, or have applied.", code="already_enrolled")
    parts = [models.EnrollmentDevice(enrollment=enrollment, device=device) for device in devices]
    models.EnrollmentDevice.objects.bulk_create(parts, ignore_conflicts=True)
    if models.EnrollmentDevice.objects.filter(enrollment=enrollment).count() != len(parts):
        raise UnableToApply("A device takes part in another program.", code="device_enrolled")
    return enrollment
