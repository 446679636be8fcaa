"""The endpoints that applications call: token, revocation, introspection, and who signed in."""

import hashlib
import http as http_status
import json
import logging
from typing import Any

from django import http
from django.conf import settings
from django.db import DataError, OperationalError
from django.utils.decorators import method_decorator
from django.views import generic
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular import utils as schema
from oauth2_provider.views import base, mixins
from oauthlib import common as oauth_common
from rest_framework import request as drf_request
from rest_framework import response, views

from openvpp.core import clock, db, scopes
from wallets import models
from wallets.oauth import answers, authentication, data_access, dpop, requests, validator
from wallets.oauth.answers import NO_STORE, refuse

logger = logging.getLogger(__name__)

# For errors that arrive without words of their own. They tell apart nothing that RFC 6749 keeps together.
WHY = {
    "invalid_grant": (
        "The code or refresh token is unknown, used, ended, or of another client, redirect URI or code_verifier: "
        "ask for a new code at the authorization endpoint"
    ),
    "invalid_client": "The client_id is unknown, or its secret is missing or wrong",
}


class Token(base.TokenView):
    """Codes and refresh tokens for tokens, each request decided in one transaction."""

    http_method_names = ["post", "options"]

    def post(  # noqa: PLR0911 - one return a refusal
        self, request: http.HttpRequest, *args: Any, **kwargs: Any
    ) -> http.HttpResponseBase:
        """Answer as RFC 6749 says; a token that is being used right now is waited for."""
        grant_type = request.POST.get("grant_type")
        if not grant_type:
            return refuse("invalid_request", "grant_type is missing")
        if grant_type not in validator.SUPPORTED_GRANT_TYPES:
            return refuse("unsupported_grant_type", "Use authorization_code, refresh_token or client_credentials")
        try:
            request.META[dpop.PROVEN_KEY] = dpop.read_request(request=request, now=clock.get_now())
            with db.transaction():
                return _complete(request, self.authorization_flow_token_response(request))
        except answers.AnswerAgain as again:
            return http.JsonResponse(again.body, headers=NO_STORE)
        except dpop.UnableToTrustProof as error:
            return refuse(error.code, error.detail)
        except requests.InvalidDetailsError as error:
            return refuse(error.error, error.description)
        except DataError:
            return refuse("invalid_request", "A parameter holds characters that no parameter may hold")
        except OperationalError:
            return _try_again("token")


class Revoke(base.RevokeTokenView):
    """A client ends one of its own tokens: the family, and the leave to spend, go with it (RFC 7009)."""

    http_method_names = ["post", "options"]

    def post(self, request: http.HttpRequest, *args: Any, **kwargs: Any) -> http.HttpResponseBase:
        """Answer 200 whether or not there was such a token."""
        try:
            with db.transaction():
                answer: http.HttpResponseBase = super().post(request, *args, **kwargs)
                return answer
        except DataError:
            return refuse("invalid_request", "A parameter holds characters that no parameter may hold")
        except OperationalError:
            return _try_again("revocation")


@method_decorator(csrf_exempt, name="dispatch")
class Introspect(mixins.OAuthLibMixin, generic.View):
    """A confidential client asks about one of its own access tokens (RFC 7662); all others are inactive to it."""

    http_method_names = ["post", "options"]

    def post(self, request: http.HttpRequest) -> http.HttpResponseBase:
        """Tell whether the token is good now."""
        client = self._get_client(request)
        if client is None:
            return refuse("invalid_client", "A confidential client must authenticate itself", 401)
        token = request.POST.get("token", "")
        if not token:
            return refuse("invalid_request", "token is missing")
        row = authentication.get_live_token(token=token, now=clock.get_now())
        if row is None or row.application_id != client.pk:
            return http.JsonResponse({"active": False}, headers=NO_STORE)
        about: dict[str, Any] = {
            "active": True,
            "scope": row.scope,
            "client_id": client.client_id,
            "token_type": dpop.SCHEME if row.dpop_jkt else "Bearer",
            "exp": int(row.expires.timestamp()),
            "iat": int(row.created.timestamp()),
            "iss": settings.ISSUER,
            "aud": settings.ISSUER,
        }
        if row.dpop_jkt:
            about["cnf"] = {"jkt": row.dpop_jkt}
        if row.session_key_grant is not None:
            about["authorization_details"] = row.session_key_grant.authorization_details
        if row.user_id is not None:
            about["sub"] = str(row.user_id)
        return http.JsonResponse(about, headers=NO_STORE)

    def _get_client(self, request: http.HttpRequest) -> models.Application | None:
        core = self.get_oauthlib_core()
        uri, method, body, headers = core._extract_params(request)  # noqa: SLF001 - as the toolkit itself does
        asked = oauth_common.Request(uri, method, body, headers)
        try:
            if not core.server.request_validator.authenticate_client(asked):
                return None
        except DataError:
            return None
        client: models.Application = asked.client
        return client if client.client_type == models.Application.CLIENT_CONFIDENTIAL else None


class UserInfo(views.APIView):
    """Who signed in (OpenID Connect Core, section 5.3); each claim with its scope."""

    required_scopes = ["openid"]

    @schema.extend_schema(exclude=True)
    def get(self, request: drf_request.Request) -> response.Response:
        person = scopes.get_person(request)
        token: Any = request.auth
        claims = {"sub": str(person.pk)}
        if token.allow_scopes(["profile"]):
            claims["name"] = person.get_full_name()
        if token.allow_scopes(["email"]):
            claims["email"] = person.email
        return response.Response(claims, headers=NO_STORE)


def _try_again(endpoint: str) -> http.JsonResponse:
    logger.warning("%s endpoint: a lock was waited for too long", endpoint)
    return refuse("temporarily_unavailable", "Try again shortly", 503)


def _complete(request: http.HttpRequest, answer: http.HttpResponse) -> http.HttpResponse:
    """Say in an answer what its token is bound to and may spend; give a bare refusal the words for it.

    :raises requests.InvalidDetailsError: the client named other details than it was granted.
    """
    body = json.loads(answer.content)
    if answer.status_code >= http_status.HTTPStatus.BAD_REQUEST:
        answer["Content-Type"] = "application/json"
        if "error_description" not in body and body.get("error") in WHY:
            answer.content = json.dumps(body | {"error_description": WHY[body["error"]]})
        return answer
    row = models.AccessToken.objects.select_related("session_key_grant").get(
        token_checksum=hashlib.sha256(body["access_token"].encode()).hexdigest()
    )
    details = row.session_key_grant.authorization_details if row.session_key_grant else []
    wanted = request.POST.get("authorization_details")
    if wanted is not None and not _is_same_json(wanted, details):
        raise requests.InvalidDetailsError(description="The token is for the details that were granted, unchanged")
    if row.dpop_jkt:
        body["token_type"] = dpop.SCHEME
    if details:
        body["authorization_details"] = details
    body |= data_access.addresses(scope=row.scope)
    if row.dpop_jkt and request.POST["grant_type"] == "refresh_token":
        presented = request.POST["refresh_token"]
        models.RefreshToken.objects.filter(
            token_checksum=hashlib.sha256(presented.encode()).hexdigest(), application_id=row.application_id
        ).update(sealed_answer=answers.seal(body=body, token=presented))
    answer.content = json.dumps(body)
    return answer


def _is_same_json(text: str, value: Any) -> bool:
    try:
        return bool(json.loads(text) == value)
    except (ValueError, RecursionError):
        return False
