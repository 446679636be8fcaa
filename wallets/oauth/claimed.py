"""Addresses that a mobile app claims as its own, so that the phone hands what comes there to no other app.

The phone fetches who may claim what from `/.well-known/`; the same files let the app use the passkeys of this site.
Where the app is not installed, the address is a page that says so.
"""

from django import http, shortcuts
from django.conf import settings
from django.utils.cache import add_never_cache_headers
from django.views.decorators import http as http_decorators

PATH = "app/"
_ANDROID = ["delegate_permission/common.handle_all_urls", "delegate_permission/common.get_login_creds"]
_CACHE = {"Cache-Control": "public, max-age=3600"}
_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@http_decorators.require_safe
def apple(_: http.HttpRequest) -> http.HttpResponse:
    """Answer `/.well-known/apple-app-site-association`.

    :raises Http404: APPLE_APPS names none.
    """
    if not settings.APPLE_APPS:
        raise http.Http404
    links = {"details": [{"appIDs": settings.APPLE_APPS, "components": [{"/": f"/{PATH}*"}]}]}
    return http.JsonResponse({"applinks": links, "webcredentials": {"apps": settings.APPLE_APPS}}, headers=_CACHE)


@http_decorators.require_safe
def android(_: http.HttpRequest) -> http.HttpResponse:
    """Answer `/.well-known/assetlinks.json`.

    :raises Http404: ANDROID_APPS names none.
    """
    if not settings.ANDROID_APPS:
        raise http.Http404
    told = [
        {
            "relation": _ANDROID,
            "target": {
                "namespace": "android_app",
                "package_name": package,
                "sha256_cert_fingerprints": [fingerprint],
            },
        }
        for package, fingerprint in settings.ANDROID_APPS
    ]
    return http.JsonResponse(told, safe=False, headers=_CACHE)


@http_decorators.require_safe
def page(request: http.HttpRequest, rest: str) -> http.HttpResponse:  # noqa: ARG001
    """Say that this was meant for the app; what stands in the address is told nobody."""
    answer = shortcuts.render(request, "oauth/claimed.html")
    add_never_cache_headers(answer)
    answer["Referrer-Policy"] = "no-referrer"
    answer["Content-Security-Policy"] = _POLICY
    return answer
