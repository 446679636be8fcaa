"""Pages are opened only by a sign-in that has not been ended."""

from collections.abc import Callable

from allauth.core.internal import httpkit
from django import http
from django.conf import settings
from django.contrib import auth

from customers.usecases import keep_sign_ins
from openvpp.core import clock


def sign_ins(get_response: Callable[[http.HttpRequest], http.HttpResponse]) -> object:
    """Put a browser out whose sign-in was ended elsewhere, and note that the others were seen."""

    def answer(request: http.HttpRequest) -> http.HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and auth.SESSION_KEY in request.session:
            address = httpkit.get_client_ip(request) or ""
            if not keep_sign_ins.see(session=request.session, address=address, now=clock.get_now()):
                auth.logout(request)
        return get_response(request)

    return answer
