"""Quotas of keys, counted in the database: what one process lets through the others know of."""

import datetime
from typing import Any

from django.db import connection

from openvpp.core import db
from relayer import models
from relayer.domain import codes

_COUNT = """
INSERT INTO relayer_apikeyusage AS used (api_key_id, quota, starts_at, count)
SELECT %(key)s, %(quota)s, %(starts_at)s, %(count)s WHERE %(count)s <= %(limit)s
ON CONFLICT (api_key_id, quota, starts_at) DO UPDATE SET count = used.count + %(count)s
WHERE used.count + %(count)s <= %(limit)s
"""
_Quota = models.ApiKeyUsage.Quota
_KEPT = datetime.timedelta(days=40)


@db.durable
def use(*, key: models.ApiKey, quota: models.ApiKeyUsage.Quota, count: int, now: datetime.datetime) -> None:
    """Take `count` of a quota, in one guarded statement.

    :raises codes.RefusedCall: that would be more than is left in this minute, or on this UTC day.
    """
    is_by_minute = quota is _Quota.REQUESTS
    limit = {
        _Quota.REQUESTS: key.requests_per_minute,
        _Quota.OPERATIONS: key.operations_per_day,
        _Quota.SPONSORED: key.sponsored_per_day,
    }[quota]
    starts_at = now.astimezone(datetime.UTC).replace(second=0, microsecond=0)
    if not is_by_minute:
        starts_at = starts_at.replace(hour=0, minute=0)
    asked: dict[str, Any] = {
        "key": key.pk,
        "quota": quota.value,
        "starts_at": starts_at,
        "count": count,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, asked)
        is_taken = cursor.rowcount == 1
    if not is_taken:
        window = "minute" if is_by_minute else "UTC day"
        raise codes.RefusedCall(
            codes.Code.TOO_MANY_REQUESTS, f"The key's quota of {limit} {quota.label.lower()} a {window} is used up."
        )


@db.durable
def forget_old(*, now: datetime.datetime) -> None:
    """Drop what was counted long ago."""
    models.ApiKeyUsage.objects.filter(starts_at__lt=now - _KEPT).delete()
