"""Where the stock middleware would answer a program as if it were a browser."""

from typing import Any

from django import http
from django.contrib.messages import middleware as messages
from django.middleware import common, locale
from django.utils import cache, translation


class CommonMiddleware(common.CommonMiddleware):
    """Send only readers on to the address with the slash; a redirected POST arrives as an empty GET."""

    def should_redirect_with_slash(self, request: http.HttpRequest) -> bool:
        return request.method in {"GET", "HEAD"} and super().should_redirect_with_slash(request)


class LocaleMiddleware(locale.LocaleMiddleware):
    """Speak the language that a request asks for; no address names one, so none is searched for it."""

    def process_request(self, request: http.HttpRequest) -> None:
        language = translation.get_language_from_request(request)
        translation.activate(language)
        request.LANGUAGE_CODE = language

    def process_response(self, request: http.HttpRequest, response: Any) -> Any:
        cache.patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", translation.get_language())
        return response


class MessageMiddleware(messages.MessageMiddleware):
    """Keep messages for the next page, which a program never asks for."""

    def __call__(self, request: http.HttpRequest) -> Any:
        return self.get_response(request) if request.path_info.startswith("/api/") else super().__call__(request)
