"""Second factors as the database keeps them: sealed, so that who reads the tables cannot make a code."""

import base64
import hashlib
import hmac

from allauth.mfa import adapter
from cryptography import fernet
from django.conf import settings
from django.utils import encoding


class Adapter(adapter.DefaultMFAAdapter):
    """Seals what codes are made from, under a key that comes from SECRET_KEY."""

    def encrypt(self, text: str) -> str:
        """Return the sealed form of a secret."""
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret.

        :raises fernet.InvalidToken: it was sealed under another key.
        """
        return _box().decrypt(encrypted_text.encode()).decode()


def _box() -> fernet.MultiFernet:
    return fernet.MultiFernet([_key(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(secret: str | bytes) -> fernet.Fernet:
    digest = hmac.new(encoding.force_bytes(secret), b"openvpp second factors", hashlib.sha256).digest()
    return fernet.Fernet(base64.urlsafe_b64encode(digest))
