"""REST addresses of people and their accounts."""

from django import urls

from customers.api import accounts, me, sign_ins

urlpatterns = [
    urls.path("me/", me.Me.as_view(), name="me"),
    urls.path("me/sign-ins/", sign_ins.SignIns.as_view(), name="me-sign-ins"),
    urls.path("me/sign-ins/<uuid:sign_in_id>/", sign_ins.SignIn.as_view(), name="me-sign-in"),
    urls.path("accounts/", accounts.Accounts.as_view(), name="accounts"),
    urls.path("accounts/claim/", accounts.ClaimAccount.as_view(), name="account-claim"),
]
