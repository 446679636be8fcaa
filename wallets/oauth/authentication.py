"""Who calls: an access token of ours, in the Authorization header only."""

import datetime
import hashlib
from typing import Any

from rest_framework import authentication, exceptions
from rest_framework import request as drf_request

from openvpp.core import clock
from wallets import models


class UnableToTrustToken(exceptions.AuthenticationFailed):
    """The token is unknown, has ended, or stands for somebody who may no longer act."""

    default_detail = "The access token is unknown or has ended."
    default_code = "invalid_token"


class BearerToken(authentication.BaseAuthentication):
    """Accept `Authorization: Bearer …` for a token that is alive and whose person and application are active.

    A token in the query or the body, and an ID token anywhere, are nothing.
    """

    def authenticate(self, request: drf_request.Request) -> tuple[Any, models.AccessToken] | None:
        """Return the person (None for a utility's system) and the token, or None without a bearer token.

        :raises UnableToTrustToken: the token is not good now.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = get_live_token(token=token.strip(), now=clock.get_now())
        if found is None:
            request.token_was_refused = True  # type: ignore[attr-defined] # read by authenticate_header
            raise UnableToTrustToken
        return found.user, found

    def authenticate_header(self, request: drf_request.Request) -> str:
        """Return the challenge of RFC 6750, section 3."""
        refused = ', error="invalid_token"' if getattr(request, "token_was_refused", False) else ""
        return f'Bearer realm="openvpp"{refused}'


def get_live_token(*, token: str, now: datetime.datetime) -> models.AccessToken | None:
    """Return an access token that is good at this instant, or None.

    Its person is active, its application usable, and the spending grant behind it, if there is one, alive.
    """
    row: models.AccessToken | None = (
        models.AccessToken.objects.select_related("user", "application", "session_key_grant__wallet")
        .filter(token_checksum=hashlib.sha256(token.encode()).hexdigest(), expires__gt=now)
        .first()
    )
    if row is None or row.application is None or not row.application.is_usable(None):
        return None
    is_system = row.application.authorization_grant_type == models.Application.GRANT_CLIENT_CREDENTIALS
    if row.user is None and not is_system:
        return None
    if row.user is not None and not row.user.is_active:
        return None
    if row.session_key_grant is not None and not row.session_key_grant.is_live(now=now):
        return None
    return row
