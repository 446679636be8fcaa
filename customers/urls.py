"""REST addresses of people and their accounts."""

from django import urls

from customers.api import accounts, me

urlpatterns = [
    urls.path("me/", me.Me.as_view(), name="me"),
    urls.path("accounts/", accounts.Accounts.as_view(), name="accounts"),
    urls.path("accounts/claim/", accounts.ClaimAccount.as_view(), name="account-claim"),
]
