"""The clock of the admin: staff read and write times in the time zone of their utility, and see which one it is."""

import functools
import zoneinfo
from collections.abc import Callable
from typing import Any

from django import http, urls
from django.utils import timezone

from customers import queries as customers

Answer = Callable[[http.HttpRequest], http.HttpResponse]
UTC = zoneinfo.ZoneInfo("UTC")


def staff_time_zone(get_response: Answer) -> Answer:
    """Serve the admin in the time zone of the person's utilities; in UTC where these have several."""

    def answer(request: http.HttpRequest) -> http.HttpResponse:
        if not request.path.startswith(_admin()):
            return get_response(request)
        with timezone.override(_zone_of(request.user)):
            return get_response(request)

    return answer


def label(request: http.HttpRequest) -> list[str]:  # noqa: ARG001 - the admin's own signature
    """Return what the head of every admin page says about its times, and in which colour."""
    return [f"Times: {timezone.get_current_timezone()}", "info"]


@functools.cache
def _admin() -> str:
    """Return where the admin begins; every request asks."""
    return urls.reverse("admin:index")


def _zone_of(user: Any) -> zoneinfo.ZoneInfo:
    if not user.is_staff:
        return UTC
    zones = set(customers.get_staff_utilities(user=user).values_list("time_zone", flat=True))
    return zoneinfo.ZoneInfo(zones.pop()) if len(zones) == 1 else UTC
