"""Addresses: the composition root opens every app's doors here."""

import importlib
import importlib.util

from django import http, urls
from django.contrib import admin
from django.views.decorators import csrf
from drf_spectacular import views as spectacular_views

from openvpp import health, home, metrics
from relayer.rpc import views as bundler_views
from wallets.rpc import views as wallet_views

handler400 = "openvpp.problems.bad_request"
handler403 = "openvpp.problems.forbidden"
handler404 = "openvpp.problems.not_found"
handler500 = "openvpp.problems.server_error"

# In the order in which their addresses are tried: payments first.
API_APPS = ["billing", "customers", "controls", "wallets", "notifications", "relayer", "meters", "ders", "programs"]
API_APPS += ["sharing"]


@csrf.csrf_exempt
def rpc(request: http.HttpRequest, chain_id: int) -> http.HttpResponseBase:
    """Answer JSON-RPC: a person's wallet to who holds their bound access token, the bundler to who has an API key."""
    is_persons = request.headers.get("Authorization", "").lower().startswith("dpop ")
    return (_wallet if is_persons else bundler_views.call)(request, chain_id=chain_id)


_wallet = wallet_views.Wallet.as_view()
_api = [importlib.import_module(f"{app}.urls") for app in API_APPS if importlib.util.find_spec(f"{app}.urls")]
urlpatterns = [
    urls.path("api/v1/", urls.include([pattern for app in _api for pattern in app.urlpatterns])),
    urls.path("", home.home, name="home"),
    urls.path("admin/desk/", urls.include("openvpp.desk.urls")),
    urls.path("admin/", admin.site.urls),
    urls.path("usage/", urls.include("meters.api.page_urls")),
    urls.path("sharing/", urls.include("sharing.api.page_urls")),
    urls.path("rpc/v1/<int:chain_id>", rpc, name="rpc"),
    urls.path("espi/1_1/resource/", urls.include("sharing.api.espi_urls")),
    urls.path("accounts/", urls.include("customers.api.page_urls")),
    urls.path("accounts/", urls.include("allauth.urls")),
    urls.path("_allauth/", urls.include("allauth.headless.urls")),
    urls.path("health/live", health.live, name="health-live"),
    urls.path("health/ready", health.ready, name="health-ready"),
    urls.path("metrics", metrics.metrics, name="metrics"),
    urls.path("api/v1/schema/", spectacular_views.SpectacularAPIView.as_view(), name="schema"),
    urls.path("api/v1/docs/", spectacular_views.SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    urls.path("api/v1/redoc/", spectacular_views.SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
]
# `/oauth/` and `/.well-known/` are named whole in the authorization server's own module.
if importlib.util.find_spec("wallets.oauth.urls"):
    urlpatterns.append(urls.path("", urls.include("wallets.oauth.urls")))
