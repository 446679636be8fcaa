"""Those of a utility's staff who look after gas hear from the relayer."""

import datetime

from customers import models as customer_models
from notifications import models as notification_models
from notifications import operations as notifications
from openvpp.core import db

_Role = customer_models.StaffRole.Role
TOLD = (_Role.ADMINISTRATOR, _Role.BILLING_ANALYST, _Role.PROGRAM_MANAGER)


@db.transaction_required
def on_staff_told(*, utility_id: int, key: str, title: str, body: str, now: datetime.datetime) -> None:
    """Write a notice for each of them, once under a key."""
    people = customer_models.StaffRole.objects.of_utility(utility_id).filter(role__in=TOLD, user__is_active=True)
    notifications.tell(
        user_ids=set(people.values_list("user_id", flat=True)),
        utility_id=utility_id,
        kind=notification_models.Notice.Kind.GAS,
        key=key,
        title=title,
        body=body,
        data={},
        now=now,
    )
