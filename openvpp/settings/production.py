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
