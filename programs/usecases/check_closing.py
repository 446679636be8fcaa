"""Programs that a customer takes part in, and what they are still to be paid, keep their account open."""

from customers.domain import closings
from programs import models

OWED = (models.Payout.State.PENDING, models.Payout.State.HELD)
ENDED = (models.Event.State.SETTLED, models.Event.State.CANCELLED)


def find_open_programs(*, customer_id: int) -> list[closings.Obstacle]:
    """Return what is to be ended or paid first."""
    found: list[closings.Obstacle] = []
    enrolled = models.Enrollment.objects.filter(
        customer_id=customer_id, state__in=[models.Enrollment.State.APPLIED, models.Enrollment.State.APPROVED]
    ).select_related("program")
    found += [
        closings.Obstacle(code="enrolled", detail=f"You take part in {row.program.name}: leave it first.")
        for row in enrolled.order_by("pk")
    ]
    unpaid = models.Payout.objects.filter(event_device__device__customer_id=customer_id, state__in=OWED)
    unsettled = models.EventDevice.objects.filter(device__customer_id=customer_id).exclude(event__state__in=ENDED)
    if unpaid.exists() or unsettled.exists():
        found.append(
            closings.Obstacle(code="payout_unsettled", detail="You are still to be paid for an event of a program.")
        )
    return found
