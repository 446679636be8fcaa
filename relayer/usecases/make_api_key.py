"""A key for one application of a utility: made, shown once, revoked."""

import datetime
import hashlib
import secrets
from collections.abc import Collection

from openvpp.core import db, errors
from relayer import models

_IDENTIFIER_BYTES = 6
_SECRET_BYTES = 32


class UnableToMakeApiKey(errors.UnableTo):
    """A scope is unknown, or there is none."""


@db.transaction
def make(
    *,
    utility_id: int,
    application: str,
    scopes: Collection[str],
    now: datetime.datetime,
    requests_per_minute: int = 600,
    operations_per_day: int = 10_000,
    sponsored_per_day: int = 1_000,
) -> tuple[models.ApiKey, str]:
    """Return a new key and its token, which stands nowhere else: of its secret only the hash is kept.

    :raises UnableToMakeApiKey: `unknown_scope`.
    """
    if not scopes or set(scopes) - set(models.ApiKey.Scope.values):
        raise UnableToMakeApiKey(f"Scopes are {', '.join(models.ApiKey.Scope.values)}.", code="unknown_scope")
    key = models.ApiKey(
        utility_id=utility_id,
        application=application,
        scopes=sorted(scopes),
        requests_per_minute=requests_per_minute,
        operations_per_day=operations_per_day,
        sponsored_per_day=sponsored_per_day,
    )
    token = prepare(key=key, now=now)
    key.save()
    return key, token


def prepare(*, key: models.ApiKey, now: datetime.datetime) -> str:
    """Give a key that is not saved yet its identifier and secret; return its token."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    key.identifier = secrets.token_hex(_IDENTIFIER_BYTES)
    key.digest = hashlib.sha256(secret.encode()).digest()
    key.created_at = now
    return f"ovpp_{key.identifier}_{secret}"


@db.transaction
def revoke(*, key_ids: Collection[int], now: datetime.datetime) -> int:
    """Let keys open nothing any more, at once; return how many were open."""
    return models.ApiKey.objects.filter(pk__in=key_ids, revoked_at__isnull=True).update(revoked_at=now)
