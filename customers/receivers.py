"""What follows a sign-in, a new password, or a passkey or second factor that is gone."""

from typing import Any

from allauth.account import signals
from allauth.core.internal import httpkit
from allauth.mfa import signals as mfa_signals
from django import dispatch, http
from django.contrib.auth import signals as auth_signals

from customers import models
from customers.usecases import keep_sign_ins
from openvpp.core import clock, db


@dispatch.receiver([mfa_signals.authenticator_removed, mfa_signals.authenticator_reset])
def end_access(*, user: models.User, **_: Any) -> None:
    """End what apps were allowed."""
    with db.transaction_if_not_already():
        keep_sign_ins.end_access(user=user, session=None, now=clock.get_now())


@dispatch.receiver([signals.password_changed, signals.password_reset])
def put_others_out(*, request: http.HttpRequest, user: models.User, **_: Any) -> None:
    """End what apps were allowed, and every other sign-in."""
    with db.transaction_if_not_already():
        keep_sign_ins.end_access(user=user, session=request.session, now=clock.get_now())


@dispatch.receiver(auth_signals.user_logged_in)
def note_sign_in(*, request: http.HttpRequest, user: models.User, **_: Any) -> None:
    """Write down on which device."""
    with db.transaction_if_not_already():
        keep_sign_ins.note(
            user=user,
            session=request.session,
            user_agent=request.META.get("HTTP_USER_AGENT", ""),
            address=httpkit.get_client_ip(request) or "",
            now=clock.get_now(),
        )
