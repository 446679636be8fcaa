"""A developer's machine: `make run`."""

from openvpp.settings.base import *

DEBUG = False
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
OAUTH_PRIVATE_SCHEMES_MAY_SPEND = True
PROGRAMS_ALLOW_PAST_EVENTS = True
SHARING_MAY_NOTIFY_PRIVATE_ADDRESSES = True
# Passkeys at http://localhost:<port>: there is no TLS, and browsers take no address for a name.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
# Static files are served from where they lie: nothing to collect.
WHITENOISE_USE_FINDERS = True
RELAYER_DEBUG_METHODS = True
