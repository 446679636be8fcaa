"""The authorization server (django-oauth-toolkit), with every model swapped for ours."""

OAUTH2_PROVIDER_APPLICATION_MODEL = "wallets.Application"
OAUTH2_PROVIDER_GRANT_MODEL = "wallets.Grant"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "wallets.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "wallets.RefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "wallets.IDToken"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "wallets.DeviceGrant"

OAUTH2_PROVIDER = {
    "SCOPES": {
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
        "programs:read": "Programs and your part in them",
        "programs:write": "Join and leave programs",
    },
    "DEFAULT_SCOPES": ["openid"],
    "PKCE_REQUIRED": True,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 60 * 60 * 24 * 90,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ROTATE_REFRESH_TOKEN": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https", "com.openvpp.demo"],
    "REQUEST_APPROVAL_PROMPT": "force",
}
