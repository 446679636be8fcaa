"""Who calls: an access token of ours, in the Authorization header only, with a proof where it is bound to a key."""

import datetime
import hashlib
import hmac
from typing import Any

from django.conf import settings
from rest_framework import authentication, exceptions
from rest_framework import request as drf_request

from openvpp.core import clock, sql
from wallets import models
from wallets.oauth import dpop

_REFUSED_SCHEME = "_refused_scheme"


class UnableToTrustToken(exceptions.AuthenticationFailed):
    """The token is unknown, has ended, or stands for somebody who may no longer act."""

    default_detail = "The access token is unknown or has ended."
    default_code = "invalid_token"


class UnableToTrustProof(exceptions.AuthenticationFailed):
    """The token is bound to a key, and the request is not signed with it."""

    default_code = "invalid_dpop_proof"


class AccessToken(authentication.BaseAuthentication):
    """Accept a token that is alive and whose person and application are active.

    `Authorization: DPoP …` with a proof (RFC 9449) for one that is bound to a key, `Bearer …` for one that is not. A
    token in the query or the body, and an ID token anywhere, are nothing.
    """

    def authenticate(self, request: drf_request.Request) -> tuple[Any, models.AccessToken] | None:
        """Return the person (None for a utility's system) and the token, or None without a token.

        :raises UnableToTrustToken: the token is not good now, or of the other scheme.
        :raises UnableToTrustProof: its proof is missing or not good.
        """
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        scheme, token, now = scheme.lower(), token.strip(), clock.get_now()
        if scheme not in {"bearer", "dpop"}:
            return None
        setattr(request, _REFUSED_SCHEME, scheme)
        found = get_live_token(token=token, now=now)
        if found is None or bool(found.dpop_jkt) != (scheme == "dpop"):
            raise UnableToTrustToken
        if found.dpop_jkt:
            _check_proof(request=request, token=token, jkt=found.dpop_jkt, now=now)
        setattr(request, _REFUSED_SCHEME, "")
        return found.user, found

    def authenticate_header(self, request: drf_request.Request) -> str:
        """Return the challenges of RFC 6750, section 3, and RFC 9449, section 7.1."""
        refused = getattr(request, _REFUSED_SCHEME, "")
        bearer = 'Bearer realm="openvpp"' + (', error="invalid_token"' if refused == "bearer" else "")
        bound = 'DPoP realm="openvpp"' + (f', error="{_error(request)}"' if refused == "dpop" else "")
        bound += f', algs="{" ".join(dpop.ALGORITHMS)}"'
        return f"{bound}, {bearer}" if refused == "dpop" else f"{bearer}, {bound}"


def get_live_token(*, token: str, now: datetime.datetime) -> models.AccessToken | None:
    """Return an access token that is good at this instant, or None.

    Its person is active, its application usable, and the spending grant behind it, if there is one, alive. Whether
    the caller holds the key that it is bound to is not asked here.
    """
    return _if_alive(_PRESENTED.first(digest=hashlib.sha256(token.encode()).hexdigest(), now=now), now=now)


def get_live_token_by_id(*, token_id: int, now: datetime.datetime) -> models.AccessToken | None:
    """Return the same for a token that was presented before."""
    return _if_alive(_NAMED.first(token_id=token_id, now=now), now=now)


# Secrets, and what is nothing to almost any request; whoever does ask is answered by a statement more.
_UNASKED = {
    "": "token token_checksum updated source_refresh_token id_token",
    "user__": "password last_login date_joined session_epoch",
    "application__": "client_secret hash_client_secret redirect_uris post_logout_redirect_uris allowed_origins "
    "allowed_scopes client_type skip_authorization algorithm user created updated",
    "session_key_grant__": "user authorization_details consent_digest created_at ended_at",
    "session_key_grant__key__": "purpose subject key_encryption_key_id created_at disabled_at",
}


def _rows(**wanted: Any) -> Any:
    rows = models.AccessToken.objects.filter(expires__gt=sql.Slot("now"), **wanted)
    unasked = [of + name for of, names in _UNASKED.items() for name in names.split()]
    return rows.select_related("user", "application", "session_key_grant__key").defer(*unasked)


_PRESENTED = sql.Read(lambda: _rows(token_checksum=sql.Slot("digest")))
_NAMED = sql.Read(lambda: _rows(pk=sql.Slot("token_id")))


def _if_alive(row: models.AccessToken | None, /, *, now: datetime.datetime) -> models.AccessToken | None:
    if row is None or row.application is None or not row.application.is_usable(None):
        return None
    is_system = row.application.authorization_grant_type == models.Application.GRANT_CLIENT_CREDENTIALS
    if row.user is None and not is_system:
        return None
    if row.user is not None and not row.user.is_active:
        return None
    if row.session_key_grant is not None and not row.session_key_grant.is_live(now=now):
        return None
    if row.resource and settings.ISSUER not in row.resource:
        return None
    return row


def _check_proof(*, request: drf_request.Request, token: str, jkt: str, now: datetime.datetime) -> None:
    proof = request.META.get("HTTP_DPOP", "")
    if not proof:
        raise UnableToTrustProof("Send a DPoP header with a proof of the key that the token is bound to.")
    try:
        found = dpop.check(proof=proof, method=request.method or "", path=request.path, now=now, access_token=token)
    except dpop.UnableToTrustProof as error:
        raise UnableToTrustProof(error.detail) from None
    if not hmac.compare_digest(found, jkt):
        raise UnableToTrustProof("The proof is of another key than the token is bound to.")


def _error(request: drf_request.Request) -> str:
    return "invalid_dpop_proof" if request.META.get("HTTP_DPOP") else "invalid_token"
