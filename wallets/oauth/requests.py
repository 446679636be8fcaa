"""What an authorization request asks, checked; the same for one in the address and for one pushed ahead."""

import dataclasses
import datetime
import re
from collections.abc import Mapping
from typing import Any

from django import http, urls
from django.conf import settings
from django.db import DataError
from oauth2_provider import exceptions as toolkit_errors
from oauth2_provider.views import mixins
from oauthlib.oauth2.rfc6749 import errors as oauth_errors

from customers import models as customer_models
from wallets import models
from wallets.domain import authorization_details, redirects
from wallets.oauth import offers
from wallets.oauth import scopes as oauth_scopes

KEPT_CREDENTIALS = (
    "client_id",
    "redirect_uri",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "nonce",
)
S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


class InvalidDetailsError(oauth_errors.OAuth2Error):
    """RFC 9396, section 5."""

    error = "invalid_authorization_details"


class InvalidTargetError(oauth_errors.OAuth2Error):
    """RFC 8707, section 2."""

    error = "invalid_target"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that may be put to a person."""

    application: models.Application
    scopes: tuple[str, ...]
    credentials: Mapping[str, Any]
    details: authorization_details.Details | None

    @property
    def spends(self) -> bool:
        """Say whether it asks for leave to spend."""
        return oauth_scopes.SPENDING_SCOPE in self.scopes


def read(
    *,
    view: mixins.OAuthLibMixin,
    parameters: http.QueryDict,
    dpop_jkt: str,
    is_pushed: bool,
    now: datetime.datetime,
) -> Asked:
    """Return what is asked. `dpop_jkt` is the thumbprint that a pushed request proved or named, or "".

    :raises OAuthToolkitError: the request is not one that we answer; `FatalClientError` if nobody may be told.
    """
    try:
        scopes, found = view.validate_authorization_request(_as_request(parameters))
    except (ValueError, DataError) as error:
        raise toolkit_errors.FatalClientError(
            error=oauth_errors.InvalidRequestFatalError(description="The query is not well encoded.")
        ) from error
    application = models.Application.objects.select_related("utility").get(client_id=found["client_id"])
    credentials = {name: found[name] for name in KEPT_CREDENTIALS if found.get(name)}
    try:
        details = _details(parameters, scopes=scopes, utility=application.utility, now=now)
        _check(credentials, parameters, scopes=scopes, dpop_jkt=dpop_jkt, is_pushed=is_pushed)
    except oauth_errors.OAuth2Error as refusal:
        refusal.redirect_uri, refusal.client_id = credentials["redirect_uri"], application.client_id
        refusal.state = credentials.get("state")
        raise toolkit_errors.OAuthToolkitError(error=refusal) from None
    kept = credentials | {"dpop_jkt": dpop_jkt, "resource": [settings.ISSUER] if parameters.getlist("resource") else []}
    return Asked(application=application, scopes=tuple(scopes), credentials=kept, details=details)


def _check(
    credentials: Mapping[str, Any],
    parameters: http.QueryDict,
    *,
    scopes: list[str],
    dpop_jkt: str,
    is_pushed: bool,
) -> None:
    if credentials.get("code_challenge_method") != "S256":
        raise oauth_errors.InvalidRequestError(description="code_challenge_method must be S256")
    if not S256_CHALLENGE.fullmatch(credentials["code_challenge"]):
        raise oauth_errors.InvalidRequestError(description="code_challenge must be 43 characters of base64url")
    if any(resource.rstrip("/") != settings.ISSUER for resource in parameters.getlist("resource")):
        raise InvalidTargetError(description=f"The one resource here is {settings.ISSUER}")
    if dpop_jkt and not THUMBPRINT.fullmatch(dpop_jkt):
        raise oauth_errors.InvalidRequestError(description="dpop_jkt must be 43 characters of base64url")
    if oauth_scopes.SPENDING_SCOPE not in scopes:
        return
    if not is_pushed:
        raise oauth_errors.InvalidRequestError(
            description="A request for leave to spend must be pushed first, and come as request_uri (RFC 9126)"
        )
    if not settings.OAUTH_PRIVATE_SCHEMES_MAY_SPEND and not redirects.may_be_claimed(credentials["redirect_uri"]):
        raise oauth_errors.InvalidRequestError(
            description="Leave to spend is answered at an HTTPS address that the app claimed (RFC 8252, section 7.2)"
        )
    if not dpop_jkt:
        raise oauth_errors.InvalidRequestError(
            description="Leave to spend is bound to a key: push the request with a DPoP proof or dpop_jkt (RFC 9449)"
        )


def _details(
    parameters: http.QueryDict, *, scopes: list[str], utility: customer_models.Utility | None, now: datetime.datetime
) -> authorization_details.Details | None:
    sent = parameters.getlist("authorization_details")
    if not sent:
        return None
    if len(sent) > 1:
        raise InvalidDetailsError(description="authorization_details is there more than once")
    if oauth_scopes.SPENDING_SCOPE not in scopes:
        raise InvalidDetailsError(description=f"Leave to spend needs the scope {oauth_scopes.SPENDING_SCOPE} too")
    try:
        details = authorization_details.parse(sent[0])
        offers.read(utility=utility, details=details, now=now)
    except authorization_details.UnableToReadDetails as error:
        raise invalid_details(error) from None
    return details


def invalid_details(error: authorization_details.UnableToReadDetails, /) -> InvalidDetailsError:
    """Return the refusal that tells an application what is wrong with its details."""
    return InvalidDetailsError(description=_ascii(error.detail))


def _ascii(text: str) -> str:
    """Return words that an `error_description` may hold (RFC 6749, section 4.1.2.1)."""
    return re.sub(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]", "'", text)


def _as_request(parameters: http.QueryDict) -> http.HttpRequest:
    request = http.HttpRequest()
    request.method = "GET"
    request.GET = parameters  # type: ignore[assignment] # the stubs know only the closed kind
    request.path = request.path_info = urls.reverse("oauth2_provider:authorize")
    request.META = {"QUERY_STRING": parameters.urlencode()}
    return request
