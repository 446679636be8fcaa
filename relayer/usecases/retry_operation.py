"""Staff let an operation wait no longer: it is taken up with the next bundle, its news told at once."""

import datetime

from customers import models as customer_models
from openvpp.core import db, errors
from relayer import models

_State = models.UserOperation.State
_OVER = (_State.SUCCEEDED, _State.FAILED)


class UnableToRetry(errors.UnableTo):
    """The operation is over, on its way already, or waits for nothing."""

    status = 409


@db.transaction
def retry(*, user_operation_hash: str, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    """End the wait of an operation that was set aside.

    :raises UnableToRetry: `over`, `on_its_way` or `not_waiting`.
    """
    row = models.UserOperation.objects.select_for_update().get(hash=user_operation_hash)
    news = models.OperationNews.objects.filter(user_operation=row, not_before__gt=now).update(not_before=None)
    if not news:
        _end_wait(row, now=now)
    models.StaffAction.objects.create(
        kind=models.StaffAction.Kind.RETRY,
        utility_id=row.utility_id,
        user_operation=row,
        made_by=by,
        reason=reason,
        made_at=now,
    )


def _end_wait(row: models.UserOperation, *, now: datetime.datetime) -> None:
    if row.state in _OVER:
        raise UnableToRetry("The operation is over; whoever signed it may sign another.", code="over")
    if row.state != _State.QUEUED or row.leased_by:
        raise UnableToRetry("The operation is on its way: its bundle is sent again by itself.", code="on_its_way")
    if row.leased_until is None or row.leased_until <= now:
        raise UnableToRetry("The operation waits for nothing but the next bundle.", code="not_waiting")
    row.leased_until = None
    row.save(update_fields=["leased_until"])
