"""The secrets shared with providers: derived when needed, stored nowhere, one for each direction."""

import enum
import hashlib
import hmac

from django.conf import settings
from django.core import exceptions


class Direction(enum.StrEnum):
    """Who signs. A message that was sent to a provider is worth nothing when it comes back."""

    TO_PROVIDER = "to-provider"
    FROM_PROVIDER = "from-provider"


def derive(*, slug: str, version: int, direction: Direction) -> bytes:
    """Return the 32-byte secret of a provider for one direction.

    :raises ImproperlyConfigured: PROVIDER_SECRET is not set.
    """
    if not settings.PROVIDER_SECRET:
        raise exceptions.ImproperlyConfigured("Set PROVIDER_SECRET_FILE to the file that provider secrets come from.")
    name = f"openvpp provider {slug} {version} {direction.value}"
    return hmac.new(settings.PROVIDER_SECRET.encode(), name.encode(), hashlib.sha256).digest()
