"""Behind TLS; what must not be left to a default has none."""

from openvpp.settings import environment
from openvpp.settings.base import *

ALLOWED_HOSTS = environment.text("ALLOWED_HOSTS").split(",")
BASE_URL = environment.text("BASE_URL")
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Each adds to X-Forwarded-For the address that it saw; without this all people would share one limit on guessing.
ALLAUTH_TRUSTED_PROXY_COUNT = int(environment.text("TRUSTED_PROXIES", "1"))
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# Codes for new addresses and forgotten passwords are sent by mail.
EMAIL_HOST = environment.text("EMAIL_HOST")
EMAIL_PORT = int(environment.text("EMAIL_PORT", "587"))
EMAIL_USE_TLS = environment.text("EMAIL_USE_TLS", "1") == "1"
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = environment.secret("EMAIL_HOST_PASSWORD", "")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.text("EMAIL_FROM")
