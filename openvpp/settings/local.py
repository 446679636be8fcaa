"""A developer's machine: `make run`."""

from openvpp.settings.base import *

DEBUG = False
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
