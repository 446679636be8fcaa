"""The release of a payout that was set aside, by two people. `subject` is the payout's id."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from controls import models as controls_models
from openvpp.core import errors, jobs
from programs import models

State = models.HeldPayout.State


class UnableToReleasePayout(errors.UnableTo):
    """It is released, and no more; or it is not set aside any more."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    rows = models.HeldPayout.objects.of_utility(utility_id).filter(state=State.HELD).order_by("held_at")
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).payout.settlement.event.program.utility_id)


def name(*, subject: str) -> str:
    hold = _get(subject)
    return f"{hold.payout.event_device.device}, {hold.payout.settlement.event}"


def read(*, subject: str) -> dict[str, Any]:
    hold = _get(subject)
    return {
        "released": hold.state != State.HELD,
        "wallet": hold.payout.recipient_wallet.address,
        "amount_units": str(hold.payout.amount_units),
        "held_because": hold.failure or hold.reason,
    }


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse anything but a release.

    :raises UnableToReleasePayout: with the reason.
    """
    now_is = read(subject=subject)
    if now_is["released"] or dict(after) != now_is | {"released": True}:
        raise UnableToReleasePayout("A payout that is set aside is only released here.", code="not_sound")


def apply(
    *, subject: str, after: Mapping[str, Any], change: controls_models.ChangeRequest, now: datetime.datetime
) -> None:
    """Have it checked once more, and paid."""
    hold = _get(subject)
    hold.state, hold.change = State.RELEASED, change
    hold.save(update_fields=["state", "change"])
    jobs.enqueue(
        name="programs.pay_held",
        key=f"programs.pay_held:{change.pk}",
        arguments={"payout_id": str(hold.pk)},
        run_at=now,
    )


def _get(subject: str) -> models.HeldPayout:
    rows = models.HeldPayout.objects.select_related(
        "payout__settlement__event__program", "payout__recipient_wallet", "payout__event_device__device"
    )
    try:
        found: models.HeldPayout | None = rows.filter(pk=uuid.UUID(subject)).first()
    except ValueError:
        found = None
    if found is None:
        raise errors.NotFound("No such payout was set aside.", code="not_found")
    return found
