"""Pages for people who are signed in."""

from django import urls

from customers.api import sign_ins

urlpatterns = [
    urls.path("devices/", sign_ins.Page.as_view(), name="sign-ins"),
]
