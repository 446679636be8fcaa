"""What a customer owes keeps their account open."""

from billing import models
from customers import models as customer_models
from customers.domain import closings

OPEN = (models.Bill.State.ISSUED, models.Bill.State.PENDING)


def find_open_bills(*, customer_id: int) -> list[closings.Obstacle]:
    """Return the bills that are to be paid first, of the accounts that the customer holds."""
    held = customer_models.AccountAccess.objects.filter(
        customer_id=customer_id, role=customer_models.AccountAccess.Role.HOLDER
    ).values("account_id")
    bills = models.Bill.objects.filter(account_id__in=held, state__in=OPEN, amount_due_cents__gt=0).order_by(
        "issued_at"
    )
    return [
        closings.Obstacle(code="bill_open", detail=f"Bill {number} is not paid.")
        for number in bills.values_list("number", flat=True)
    ]
