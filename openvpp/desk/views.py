"""The desk's two pages."""

from typing import Any

from django import http, shortcuts
from django.contrib import admin
from django.core import exceptions
from django.views.decorators import cache
from django.views.decorators import http as http_decorators

from openvpp.desk import reading


@http_decorators.require_safe
@cache.never_cache
def search(request: http.HttpRequest) -> http.HttpResponse:
    """Find customers by name, e-mail, account number or meter serial."""
    _require_desk(request)
    text = request.GET.get("q", "")
    found = list(reading.search(user=_person(request), text=text))
    context = {
        **admin.site.each_context(request),
        "title": "Customers",
        "text": text,
        "is_too_short": 0 < len(text.strip()) < reading.SHORTEST_SEARCH,
        "found": found[: reading.MOST_FOUND],
        "has_more": len(found) > reading.MOST_FOUND,
    }
    return shortcuts.render(request, "desk/search.html", context)


@http_decorators.require_safe
@cache.never_cache
def customer(request: http.HttpRequest, customer_id: int) -> http.HttpResponse:
    """Show everything about a customer."""
    _require_desk(request)
    try:
        file = reading.open_file(user=_person(request), customer_id=customer_id)
    except reading.UnableToOpenFile as error:
        raise http.Http404 from error
    context = {**admin.site.each_context(request), "title": file.customer.name, "file": file}
    return shortcuts.render(request, "desk/customer.html", context)


def index(request: http.HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the admin's first page what this person's roles open."""
    doors = [
        {"title": group["title"], "open": [item for item in group["items"] if item["has_permission"]]}
        for group in context["sidebar_navigation"]
    ]
    return context | {
        "title": "Welcome",
        "doors": [door for door in doors if door["open"]],
        "may_open_desk": reading.may_open(request.user),
    }


def _require_desk(request: http.HttpRequest) -> None:
    if not reading.may_open(request.user):
        raise exceptions.PermissionDenied


def _person(request: http.HttpRequest) -> Any:
    return request.user
