"""What follows a new password, or a passkey or second factor that is gone: whoever came in before is put out."""

from typing import Any

from allauth.account import signals
from allauth.mfa import signals as mfa_signals
from django import dispatch

from customers import models
from openvpp.core import clock, db, upcalls


@dispatch.receiver(
    [
        signals.password_changed,
        signals.password_reset,
        mfa_signals.authenticator_removed,
        mfa_signals.authenticator_reset,
    ]
)
def end_access(*, user: models.User, **_: Any) -> None:
    """End what apps were allowed; on a new password Django itself ends the other sessions."""
    with db.transaction_if_not_already():
        upcalls.call(event="customers.access_ended", user_id=user.pk, now=clock.get_now())
