"""Staff stop what comes in from a utility: new operations are refused at every door, what is under way ends.

Every process looks again once a second (`queries.is_paused`).
"""

import datetime

from customers import models as customer_models
from openvpp.core import db, errors
from relayer import models, queries


class UnableToPause(errors.UnableTo):
    """The utility is paused already, or is not."""

    status = 409


@db.transaction
def pause(*, utility_id: int, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    """Refuse a utility's new operations from now on.

    :raises UnableToPause: `paused_already`.
    """
    _, is_new = models.UtilityPause.objects.get_or_create(
        utility_id=utility_id, resumed_at=None, defaults={"reason": reason, "paused_by": by, "paused_at": now}
    )
    if not is_new:
        raise UnableToPause("The utility is paused already.", code="paused_already")
    _note(kind=models.StaffAction.Kind.PAUSE, utility_id=utility_id, by=by, reason=reason, now=now)


@db.transaction
def resume(*, utility_id: int, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    """Take a utility's operations again.

    :raises UnableToPause: `not_paused`.
    """
    if not models.UtilityPause.objects.filter(utility_id=utility_id, resumed_at=None).update(resumed_at=now):
        raise UnableToPause("The utility is not paused.", code="not_paused")
    _note(kind=models.StaffAction.Kind.RESUME, utility_id=utility_id, by=by, reason=reason, now=now)


def _note(*, kind: str, utility_id: int, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    models.StaffAction.objects.create(kind=kind, utility_id=utility_id, made_by=by, reason=reason, made_at=now)
    db.run_after_commit(queries.forget_pauses)
