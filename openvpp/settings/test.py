"""The tests: real PostgreSQL, Redis and chain, started by the fixtures."""

import os

os.environ.setdefault("SECRET_KEY", "tests-only")
os.environ.setdefault("DATABASE_URL", "postgresql://postgres@localhost/postgres")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:6379/0")
os.environ.setdefault("SIGNER_TOKEN", "tests-only")
if "OIDC_PRIVATE_KEY" not in os.environ:  # those that are started from here inherit it
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    _key = ec.generate_private_key(ec.SECP256R1())
    os.environ["OIDC_PRIVATE_KEY"] = _key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
os.environ.setdefault("PROVIDER_SECRET", "tests-only")

from openvpp.settings.base import *

SPONSORSHIP_MAX_AGE_S = 0

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
OAUTH_PRIVATE_SCHEMES_MAY_SPEND = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

if template := os.environ.get("TEST_DATABASE_TEMPLATE"):
    DATABASES["default"].setdefault("TEST", {})["TEMPLATE"] = template
