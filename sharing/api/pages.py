"""The customer's own page of whom they share data with."""

import uuid

from django import http, shortcuts
from django.contrib.auth import decorators as auth_decorators
from django.views.decorators import cache
from django.views.decorators import http as http_decorators

from openvpp.core import clock, errors
from sharing import queries
from sharing.api import authorizations

MOST_SHOWN = 50


@http_decorators.require_safe
@cache.never_cache
@auth_decorators.login_required
def sharing(request: http.HttpRequest) -> http.HttpResponse:
    """Show whom a person lets see their data, and let them stop it."""
    now = clock.get_now()
    user = request.user
    found = list(queries.get_authorizations_for_customer(user=user)[:MOST_SHOWN])  # type: ignore[arg-type] # signed in
    shown = [
        {
            "authorization": authorization,
            "rows": [line.partition(": ")[::2] for line in authorization.shown_text.splitlines()],
            "is_live": authorization.is_live(now=now),
        }
        for authorization in found
    ]
    return shortcuts.render(request, "sharing/sharing.html", {"shown": shown})


@http_decorators.require_POST
@auth_decorators.login_required
def stop(request: http.HttpRequest, authorization_id: uuid.UUID) -> http.HttpResponse:
    """Stop sharing, and show what is left.

    :raises Http404: there is no such authorization, or it is not theirs.
    """
    try:
        authorizations.end_own(user=request.user, authorization_id=authorization_id)
    except errors.NotFound as error:
        raise http.Http404 from error
    return shortcuts.redirect("sharing-pages:sharing")
