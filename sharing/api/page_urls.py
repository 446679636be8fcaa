"""Addresses of the customer's pages of data sharing."""

from django import urls

from sharing.api import pages

app_name = "sharing-pages"
urlpatterns = [
    urls.path("", pages.sharing, name="sharing"),
    urls.path("<uuid:authorization_id>/stop/", pages.stop, name="stop"),
]
