"""What this authorization server can do, told truly (RFC 8414, RFC 9728, OpenID Connect Discovery)."""

from typing import Any

from django import http, urls
from django.conf import settings
from django.views.decorators import http as http_decorators

from wallets.domain import authorization_details
from wallets.oauth import dpop, id_tokens

CACHE = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}


@http_decorators.require_safe
def authorization_server(_: http.HttpRequest) -> http.HttpResponse:
    """Answer `/.well-known/oauth-authorization-server`."""
    return http.JsonResponse(_common() | _openid() if settings.OIDC_PRIVATE_KEY else _common(), headers=CACHE)


@http_decorators.require_safe
def openid_configuration(_: http.HttpRequest) -> http.HttpResponse:
    """Answer `/.well-known/openid-configuration`, if ID tokens can be signed.

    :raises Http404: they cannot.
    """
    if not settings.OIDC_PRIVATE_KEY:
        raise http.Http404
    return http.JsonResponse(_common() | _openid(), headers=CACHE)


@http_decorators.require_safe
def protected_resource(_: http.HttpRequest) -> http.HttpResponse:
    """Answer `/.well-known/oauth-protected-resource`."""
    return http.JsonResponse(
        {
            "resource": settings.ISSUER,
            "authorization_servers": [settings.ISSUER],
            "scopes_supported": sorted(settings.OAUTH_SCOPES),
            "bearer_methods_supported": ["header"],
            "authorization_details_types_supported": [authorization_details.TYPE],
            "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
            "dpop_bound_access_tokens_required": False,
            "resource_documentation": _url("docs"),
        },
        headers=CACHE,
    )


@http_decorators.require_safe
def jwks(_: http.HttpRequest) -> http.HttpResponse:
    """Answer the public keys that ID tokens are checked with.

    :raises Http404: there is none.
    """
    if not settings.OIDC_PRIVATE_KEY:
        raise http.Http404
    return http.JsonResponse({"keys": id_tokens.public_keys()}, headers=CACHE)


def _common() -> dict[str, Any]:
    return {
        "issuer": settings.ISSUER,
        "authorization_endpoint": _url("oauth2_provider:authorize"),
        "token_endpoint": _url("oauth2_provider:token"),
        "revocation_endpoint": _url("oauth2_provider:revoke-token"),
        "introspection_endpoint": _url("oauth2_provider:introspect"),
        "scopes_supported": sorted(settings.OAUTH_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": True,
        "pushed_authorization_request_endpoint": _url("oauth2_provider:push"),
        # Each request for leave to spend must be pushed; the standard has no word for "some".
        "require_pushed_authorization_requests": False,
        "authorization_details_types_supported": [authorization_details.TYPE],
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "request_parameter_supported": False,
        # Those of others; our own, of pushed requests, needs no leave (RFC 9126, section 5).
        "request_uri_parameter_supported": False,
        "ui_locales_supported": [code for code, _name in settings.LANGUAGES],
        "service_documentation": _url("docs"),
    }


def _openid() -> dict[str, Any]:
    return {
        "jwks_uri": _url("oauth2_provider:jwks-info"),
        "userinfo_endpoint": _url("oauth2_provider:user-info"),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [id_tokens.ALGORITHM],
        "claims_supported": ["sub", "name", "email"],
        "prompt_values_supported": ["login", "consent"],
    }


def _url(name: str) -> str:
    return f"{settings.ISSUER}{urls.reverse(name)}"
