"""Proof that the person is there now, beside the token of their application.

An access token says what an application may do; whoever holds it is not yet the person. What cannot be taken back asks
for the sign-in itself too: its session, by cookie or `X-Session-Token` (allauth headless), in which the person proved
who they are a moment ago.
"""

import datetime

from allauth.account import app_settings
from allauth.account.internal.flows import login
from allauth.headless.internal import sessionkit
from django.contrib import auth
from rest_framework import request as drf_request

from customers import models as customer_models
from openvpp.core import errors

HEADER = "X-Session-Token"


class UnableToStepUp(errors.Forbidden):
    """The request does not carry a sign-in of this person that is fresh."""


def require_fresh(*, request: drf_request.Request, user: customer_models.User, now: datetime.datetime) -> None:
    """Refuse who did not prove who they are in the last `ACCOUNT_REAUTHENTICATION_TIMEOUT` seconds.

    :raises UnableToStepUp: no session of this person, or one that is not fresh.
    """
    token = request.headers.get(HEADER, "")
    if token:
        found = sessionkit.authenticate_by_x_session_token(token)
        person, session = found if found is not None else (None, {})
    else:
        person, session = auth.get_user(request._request), request._request.session  # noqa: SLF001 - DRF has no other name
    records = session.get(login.AUTHENTICATION_METHODS_SESSION_KEY, [])
    last = max((float(record.get("at", 0)) for record in records), default=0.0)
    age_seconds = now.timestamp() - last
    if person is None or person.pk != user.pk or age_seconds > app_settings.REAUTHENTICATION_TIMEOUT:
        raise UnableToStepUp(
            "Prove again that it is you: sign in or confirm, and send the request with that session.",
            code="step_up_required",
            extra={"reauthenticate": "/_allauth/app/v1/auth/reauthenticate", "header": HEADER},
        )
