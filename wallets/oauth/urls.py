"""Addresses of the authorization server. The toolkit's own, such as client registration, are not here on purpose."""

from django import urls

from wallets.api import closing
from wallets.oauth import authorize, claimed, connected, endpoints, metadata, pushed

# The toolkit looks its addresses up under this name.
server = (
    [
        urls.path("oauth/authorize/", authorize.Authorize.as_view(), name="authorize"),
        urls.path("oauth/par/", pushed.Push.as_view(), name="push"),
        urls.path("oauth/token/", endpoints.Token.as_view(), name="token"),
        urls.path("oauth/revoke_token/", endpoints.Revoke.as_view(), name="revoke-token"),
        urls.path("oauth/introspect/", endpoints.Introspect.as_view(), name="introspect"),
        urls.path("oauth/userinfo/", endpoints.UserInfo.as_view(), name="user-info"),
        urls.path(".well-known/jwks.json", metadata.jwks, name="jwks-info"),
        urls.path(
            ".well-known/openid-configuration", metadata.openid_configuration, name="oidc-connect-discovery-info"
        ),
        urls.path(
            ".well-known/oauth-authorization-server", metadata.authorization_server, name="oauth-server-metadata"
        ),
        urls.path(".well-known/oauth-protected-resource", metadata.protected_resource, name="oauth-resource-metadata"),
    ],
    "oauth2_provider",
)

urlpatterns = [
    urls.path("accounts/apps/", connected.ConnectedApps.as_view(), name="connected-apps"),
    urls.path("accounts/closing/", closing.Page.as_view(), name="closing"),
    urls.path(".well-known/apple-app-site-association", claimed.apple, name="apple-apps"),
    urls.path(".well-known/assetlinks.json", claimed.android, name="android-apps"),
    urls.path(f"{claimed.PATH}<path:rest>", claimed.page, name="claimed"),
    urls.path("", urls.include(server)),
]
