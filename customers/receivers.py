"""What follows a sign-in, a new password, or a passkey or second factor that is gone."""

from typing import Any

from allauth.account import signals
from allauth.core.internal import httpkit
from allauth.mfa import models as mfa_models
from django import dispatch, http
from django.contrib.auth import signals as auth_signals
from django.db.models import signals as db_signals

from customers import models
from customers.usecases import keep_sign_ins
from openvpp.core import clock, db


@dispatch.receiver(db_signals.post_delete, sender=mfa_models.Authenticator)
def end_access(*, instance: mfa_models.Authenticator, **_: Any) -> None:
    """End what apps were allowed, in the transaction that deletes it."""
    user = models.User.objects.get(pk=instance.user_id)
    keep_sign_ins.end_access(user=user, session=None, now=clock.get_now())


@dispatch.receiver([signals.password_changed, signals.password_set])
def keep_this_one(*, request: http.HttpRequest, **_: Any) -> None:
    """Know the session again, to which Django gave another key; the password ended all the others as it was stored."""
    keep_sign_ins.see(session=request.session, address="", now=clock.get_now())


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
