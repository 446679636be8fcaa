"""Whose pages they are: a person who comes from a utility's app sees that utility's name and colour."""

import urllib.parse
from typing import Any

from django import http, template

from customers import models as customer_models
from wallets import models

register = template.Library()

_LINEAR_BELOW = 0.04045
# Where black and white text stand out equally well (WCAG 2.2, relative luminance).
_MIDDLE = 0.179


@register.simple_tag(takes_context=True)
def utility_of_next(context: template.RequestContext) -> customer_models.Utility | None:
    """Return whose page it is: the utility of the app to which the person goes on, or the only one; else None."""
    request: http.HttpRequest | None = getattr(context, "request", None)
    if request is None:
        return None
    onward = request.POST.get("next") or request.GET.get("next") or ""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(onward).query)
    client_ids = query.get("client_id", [])
    if not client_ids or "\x00" in client_ids[0]:
        return _only_utility()
    application = models.Application.objects.select_related("utility").filter(client_id=client_ids[0]).first()
    return application.utility if application is not None else None


def _only_utility() -> customer_models.Utility | None:
    utilities = list(customer_models.Utility.objects.order_by("pk")[:2])
    return utilities[0] if len(utilities) == 1 else None


@register.filter
def text_on(color: Any) -> str:
    """Return black or white, whichever reads better on a `#rrggbb` colour."""
    channels = [int(str(color)[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= _LINEAR_BELOW else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > _MIDDLE else "#ffffff"
