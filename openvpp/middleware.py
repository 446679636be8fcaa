"""Where the stock middleware would answer a program as if it were a browser."""

from django import http
from django.middleware import common


class CommonMiddleware(common.CommonMiddleware):
    """Send only readers on to the address with the slash; a redirected POST arrives as an empty GET."""

    def should_redirect_with_slash(self, request: http.HttpRequest) -> bool:
        return request.method in {"GET", "HEAD"} and super().should_redirect_with_slash(request)
