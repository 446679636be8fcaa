"""What follows when a person sets a new password: whoever came in by the old one is put out."""

from typing import Any

from allauth.account import signals
from django import dispatch

from customers import models
from openvpp.core import clock, db, upcalls


@dispatch.receiver([signals.password_changed, signals.password_reset])
def end_access(*, user: models.User, **_: Any) -> None:
    """End what apps were allowed; Django itself ends the other sessions."""
    with db.transaction_if_not_already():
        upcalls.call(event="customers.access_ended", user_id=user.pk, now=clock.get_now())
