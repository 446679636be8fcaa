"""Addresses of the customer's pages of usage."""

from django import urls

from meters.api import pages

app_name = "usage-pages"
urlpatterns = [
    urls.path("", pages.usage, name="usage"),
    urls.path("csv/", pages.csv, name="csv"),
    urls.path("green-button/", pages.green_button, name="green-button"),
]
