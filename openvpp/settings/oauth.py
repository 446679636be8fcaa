"""The authorization server (django-oauth-toolkit), with every model swapped for ours."""

from openvpp.settings import environment

ISSUER = environment.text("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
# Signs ID tokens (EC of P-256, PEM; the first of several signs). Without it nobody gets one, and the metadata says so.
OIDC_PRIVATE_KEY = environment.secret("OIDC_PRIVATE_KEY", "")

# A scheme of an app's own can be taken by any other app on the phone (RFC 8252, section 8.6): leave to spend is
# answered at HTTPS addresses that the app has claimed, and at loopback addresses.
OAUTH_PRIVATE_SCHEMES_MAY_SPEND = False
# The apps that claim `/app/` here: team and bundle ids; packages, each with the SHA-256 of its signing certificate.
APPLE_APPS = [name for name in environment.text("APPLE_APPS", "").split(",") if name]
ANDROID_APPS = [tuple(each.split("=", 1)) for each in environment.text("ANDROID_APPS", "").split(",") if "=" in each]

OAUTH2_PROVIDER_APPLICATION_MODEL = "wallets.Application"
OAUTH2_PROVIDER_GRANT_MODEL = "wallets.Grant"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "wallets.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "wallets.RefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "wallets.IDToken"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "wallets.DeviceGrant"

OAUTH_SCOPES = {
    "openid": "Sign you in",
    "profile": "Your name",
    "email": "Your e-mail address",
    "account:read": "Your accounts and premises",
    "account:write": "Link an account to you",
    "usage:read": "Your meter data",
    "usage:write": "Send meter data (utility systems)",
    "bills:read": "Your bills",
    "bills:write": "Send bills (utility systems)",
    "wallet:read": "Your balances and activity",
    "payments:write": "Pay your bills within limits that you set",
    "notices:read": "What you are told",
    "devices:read": "Your devices",
    "devices:write": "Add and remove devices",
    "sharing:read": "Whom you let see your data",
    "sharing:write": "Stop letting others see your data",
    "programs:read": "Programs and your part in them",
    "programs:write": "Join and leave programs",
    "policies:read": "Why a payment is allowed or refused (staff)",
}
REFRESH_TOKEN_SECONDS = 60 * 60 * 24 * 90

OAUTH2_PROVIDER = {
    "SCOPES": OAUTH_SCOPES,
    "DEFAULT_SCOPES": ["openid"],
    "SCOPES_BACKEND_CLASS": "wallets.oauth.scopes.ApplicationScopes",
    "OAUTH2_VALIDATOR_CLASS": "wallets.oauth.validator.Validator",
    "PKCE_REQUIRED": True,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
    "ID_TOKEN_EXPIRE_SECONDS": 600,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "REFRESH_TOKEN_EXPIRE_SECONDS": REFRESH_TOKEN_SECONDS,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ROTATE_REFRESH_TOKEN": True,
    "REQUEST_APPROVAL_PROMPT": "force",
    "OIDC_ENABLED": bool(OIDC_PRIVATE_KEY),
    "OIDC_ISS_ENDPOINT": ISSUER,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
}
