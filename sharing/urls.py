from django import urls

from sharing.api import authorizations

urlpatterns = [
    urls.path("data-sharing/", authorizations.ListAuthorizations.as_view(), name="data-sharing"),
    urls.path("data-sharing/<uuid:authorization_id>/", authorizations.Authorization.as_view(), name="data-sharing-one"),
]
