"""The customer's own page of usage, and its downloads, for whoever signed in with a browser."""

import dataclasses
import datetime
import zoneinfo
from collections.abc import Callable
from typing import Any

from django import http, shortcuts
from django.contrib.auth import decorators as auth_decorators
from django.utils import html, safestring
from django.views.decorators import cache
from django.views.decorators import http as http_decorators
from rest_framework import exceptions

from customers import models as customers_models
from meters.api import downloads
from meters.domain import plotting
from meters.usecases import show_usage
from openvpp.core import clock, errors

MOST_POINTS = 20


@dataclasses.dataclass(frozen=True, slots=True)
class _Point:
    """A service point on the page; `plot` is empty and `first` None when there is nothing to see."""

    point: customers_models.ServicePoint
    plot: str
    first: datetime.date | None
    after: datetime.date | None


@http_decorators.require_safe
@cache.never_cache
@auth_decorators.login_required
def usage(request: http.HttpRequest) -> http.HttpResponse:
    """Show the latest month at each of a customer's own service points, and offer a year of each to keep."""
    points = (
        customers_models.ServicePoint.objects.for_customer(_person(request))
        .select_related("premise__utility")
        .order_by("premise__street", "number")[:MOST_POINTS]
    )
    shown = [_show(point=point, user=_person(request)) for point in points]
    return shortcuts.render(request, "meters/usage.html", {"points": shown})


@http_decorators.require_safe
@auth_decorators.login_required
def csv(request: http.HttpRequest) -> http.HttpResponseBase:
    """Download what `meters.api.downloads.Csv` answers."""
    return _download(request, downloads.csv)


@http_decorators.require_safe
@auth_decorators.login_required
def green_button(request: http.HttpRequest) -> http.HttpResponseBase:
    """Download what `meters.api.downloads.GreenButton` answers."""
    return _download(request, downloads.green_button)


def _download(request: http.HttpRequest, answer: Callable[..., http.StreamingHttpResponse]) -> http.HttpResponseBase:
    try:
        return answer(user=_person(request), query=request.GET)
    except errors.UnableTo as error:
        return _refuse(request, detail=error.detail, status=error.status)
    except exceptions.ValidationError:
        return _refuse(request, detail="Choose two days: the first one to download, and the one after the last.")


def _refuse(request: http.HttpRequest, *, detail: str, status: int = 400) -> http.HttpResponse:
    return shortcuts.render(
        request, "problem.html", {"title": "Nothing to download", "detail": detail, "status": status}, status=status
    )


def _show(*, point: customers_models.ServicePoint, user: customers_models.User) -> _Point:
    zone = zoneinfo.ZoneInfo(point.premise.utility.time_zone)
    today = clock.get_now().astimezone(zone).date()
    try:
        plot = show_usage.get_latest_plot(user=user, service_point_id=point.pk, now=clock.get_now())
    except errors.UnableTo as error:
        return _Point(point, html.format_html("<p>{}</p>", error.detail), None, None)
    if plot is None:
        return _Point(point, "", None, None)
    after = min(plot.totals[-1].starts_on, today) + datetime.timedelta(days=1)
    first = after - datetime.timedelta(days=show_usage.LONGEST_DOWNLOAD_DAYS - 1)
    # Numbers and dates only; words are escaped.
    return _Point(point, safestring.mark_safe(plotting.to_svg(plot=plot)), first, after)  # noqa: S308


def _person(request: http.HttpRequest) -> Any:
    return request.user
