"""Addresses: the composition root opens every app's doors here."""

from django import urls
from django.contrib import admin
from drf_spectacular import views as spectacular_views

urlpatterns = [
    urls.path("admin/", admin.site.urls),
    urls.path("accounts/", urls.include("allauth.urls")),
    urls.path("_allauth/", urls.include("allauth.headless.urls")),
    urls.path("api/v1/schema/", spectacular_views.SpectacularAPIView.as_view(), name="schema"),
    urls.path("api/v1/docs/", spectacular_views.SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    urls.path("api/v1/redoc/", spectacular_views.SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
]
