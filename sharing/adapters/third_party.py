"""Tells a third party, at its own address, that there is something to fetch; signed (ders.domain.signature)."""

import datetime
import hashlib
import hmac

from django.conf import settings
from django.core import exceptions

from ders.domain import signature
from openvpp.core import http
from sharing import models

HEADER = "X-OpenVPP-Signature"


def post(*, third_party: models.ThirdParty, body: bytes, now: datetime.datetime) -> None:
    """POST a message in XML, signed with the secret that the third party was given.

    :raises errors.Unreachable: it did not answer, or with 429 or 5xx.
    :raises errors.Refused: its address is none that we write to, or it answered anything but success.
    """
    http.post_to_stranger(
        url=third_party.notify_uri,
        content=body,
        headers={
            "Content-Type": "application/xml",
            HEADER: signature.sign(secret=secret(third_party=third_party), body=body, now=now),
        },
        may_be_private=settings.SHARING_MAY_NOTIFY_PRIVATE_ADDRESSES,
    )


def secret(*, third_party: models.ThirdParty) -> bytes:
    """Return the 32 bytes that sign what we send to a third party; derived when needed, stored nowhere.

    :raises ImproperlyConfigured: PROVIDER_SECRET is not set.
    """
    if not settings.PROVIDER_SECRET:
        raise exceptions.ImproperlyConfigured("Set PROVIDER_SECRET_FILE to the file that shared secrets come from.")
    name = f"openvpp third party {third_party.pk} notices"
    return hmac.new(settings.PROVIDER_SECRET.encode(), name.encode(), hashlib.sha256).digest()
