"""The page at `/`: it tells a person where to go."""

from django import http, shortcuts
from django.conf import settings
from django.views.decorators import http as http_decorators

from customers import models as customer_models


@http_decorators.require_safe
def home(request: http.HttpRequest) -> http.HttpResponse:
    """Show where staff, developers and customers go."""
    utility = customer_models.Utility.objects.order_by("pk").first()
    return shortcuts.render(
        request, "home.html", {"utility": utility, "chain_id": settings.CHAIN_ID, "base_url": settings.BASE_URL}
    )
