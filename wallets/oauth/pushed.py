"""Authorization requests that are pushed ahead (RFC 9126): the browser carries a name for them alone.

A `request_uri` is for one client and one browser. The first browser that brings it has the request put into its
session, where it waits while the person signs in; any other, and any later one, brings nothing.
"""

import datetime
import hashlib
import secrets
from typing import Any

from django import http
from django.db import DataError
from django.utils.decorators import method_decorator
from django.views import generic
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider import exceptions as toolkit_errors
from oauth2_provider.views import mixins
from oauthlib import common as oauth_common

from openvpp.core import clock
from wallets import models
from wallets.oauth import dpop, requests
from wallets.oauth.answers import NO_STORE, refuse

LIFETIME = datetime.timedelta(seconds=90)
IN_SESSION = datetime.timedelta(minutes=10)
SESSION_KEY = "oauth_pushed"
MOST_AT_ONCE = 5
PREFIX = "urn:ietf:params:oauth:request_uri:"
MOST_CHARACTERS = 16_384
# What a client proves itself with is for this endpoint, and kept nowhere.
NOT_KEPT = frozenset({"client_secret", "client_assertion", "client_assertion_type"})


@method_decorator(csrf_exempt, name="dispatch")
class Push(mixins.OAuthLibMixin, generic.View):
    """POST an authorization request; get the name that the browser is sent with."""

    http_method_names = ["post", "options"]

    def post(self, request: http.HttpRequest) -> http.HttpResponse:  # noqa: PLR0911 - one return a refusal
        """Check the request as the authorization endpoint would, and keep it for ninety seconds."""
        now = clock.get_now()
        try:
            client = self._get_client(request)
            if client is None:
                return refuse("invalid_client", "The client_id is unknown, or its secret is missing or wrong", 401)
            dpop_jkt = dpop.read_request(request=request, now=now)
            named = request.POST.get("dpop_jkt", "")
            if dpop_jkt and named and named != dpop_jkt:
                return refuse("invalid_dpop_proof", "dpop_jkt is not the thumbprint of the key of the proof")
            parameters = _parameters(request)
            if "request_uri" in parameters or "request" in parameters:
                return refuse("invalid_request", "request and request_uri are not taken here")
            if parameters.get("client_id") != client.client_id:
                return refuse("invalid_request", "client_id is missing, or another than that of the client")
            if len(parameters.urlencode()) > MOST_CHARACTERS:
                return refuse("invalid_request", "The request is too long", 413)
            dpop_jkt = dpop_jkt or named
            requests.read(view=self, parameters=parameters, dpop_jkt=dpop_jkt, is_pushed=True, now=now)
            request_uri = keep(client=client, parameters=parameters, dpop_jkt=dpop_jkt, now=now)
        except dpop.UnableToTrustProof as error:
            return refuse(error.code, error.detail)
        except toolkit_errors.OAuthToolkitError as error:
            told = error.oauthlib_error
            return refuse(told.error, told.description or told.error)
        except DataError:
            return refuse("invalid_request", "A parameter holds characters that no parameter may hold")
        return http.JsonResponse(
            {"request_uri": request_uri, "expires_in": int(LIFETIME.total_seconds())}, status=201, headers=NO_STORE
        )

    def _get_client(self, request: http.HttpRequest) -> models.Application | None:
        core = self.get_oauthlib_core()
        uri, method, body, headers = core._extract_params(request)  # noqa: SLF001 - as the toolkit itself does
        asked = oauth_common.Request(uri, method, body, headers)
        validator = core.server.request_validator
        if not validator.authenticate_client(asked) and not validator.authenticate_client_id(asked.client_id, asked):
            return None
        client: models.Application = asked.client
        return client


def keep(*, client: models.Application, parameters: http.QueryDict, dpop_jkt: str, now: datetime.datetime) -> str:
    """Keep a request that was checked, and return the name that the browser is sent with."""
    request_uri = PREFIX + secrets.token_urlsafe(32)
    models.PushedRequest.objects.create(
        request_uri_digest=_digest(request_uri),
        application=client,
        parameters=dict(parameters.lists()),
        dpop_jkt=dpop_jkt,
        expires_at=now + LIFETIME,
    )
    return request_uri


def take(*, request: http.HttpRequest, now: datetime.datetime) -> tuple[http.QueryDict, str] | None:
    """Return the parameters that a browser's `request_uri` stands for, and the thumbprint that binds the code.

    None if it is unknown, another client's, too old, or another browser's.
    """
    client_id, request_uri = request.GET.get("client_id", ""), request.GET.get("request_uri", "")
    digest = _digest(request_uri)
    kept: dict[str, Any] = request.session.get(SESSION_KEY, {})
    if digest not in kept:
        found = _use_up(digest=digest, client_id=client_id, now=now)
        if found is None:
            return None
        kept[digest] = {
            "parameters": found.parameters,
            "dpop_jkt": found.dpop_jkt,
            "until": (now + IN_SESSION).isoformat(),
        }
        request.session[SESSION_KEY] = dict(list(kept.items())[-MOST_AT_ONCE:])
    waiting = kept[digest]
    if now >= datetime.datetime.fromisoformat(waiting["until"]) or waiting["parameters"]["client_id"] != [client_id]:
        return None
    return _query(waiting["parameters"]), waiting["dpop_jkt"]


def forget(*, request: http.HttpRequest, request_uri_digest: str) -> None:
    """Take a request that was answered out of the session."""
    kept: dict[str, Any] = request.session.get(SESSION_KEY, {})
    if kept.pop(request_uri_digest, None) is not None:
        request.session[SESSION_KEY] = kept


def digest_of(request: http.HttpRequest) -> str:
    """Return what names the request of a browser in its session; "" for one that was not pushed."""
    request_uri = request.GET.get("request_uri", "")
    return _digest(request_uri) if request_uri else ""


def _use_up(*, digest: str, client_id: str, now: datetime.datetime) -> models.PushedRequest | None:
    """Return a pushed request to the first who asks for it."""
    row: models.PushedRequest | None = models.PushedRequest.objects.filter(
        request_uri_digest=digest, application__client_id=client_id
    ).first()
    if row is None:
        return None
    # No join here: PostgreSQL does not look at the condition of a subquery again after it waited for the row.
    unused = models.PushedRequest.objects.filter(pk=row.pk, used_at__isnull=True, expires_at__gt=now)
    return row if unused.update(used_at=now) else None


def _parameters(request: http.HttpRequest) -> http.QueryDict:
    return _query({name: values for name, values in request.POST.lists() if name not in NOT_KEPT})


def _query(lists: dict[str, list[str]]) -> http.QueryDict:
    query = http.QueryDict(mutable=True)
    for name, values in lists.items():
        query.setlist(name, values)
    query._mutable = False  # noqa: SLF001 - how Django itself closes one
    return query


def _digest(request_uri: str) -> str:
    return hashlib.sha256(request_uri.encode()).hexdigest()
