"""The one place that reads the clock; only interfaces call it and pass `now` down."""

import datetime

from django.utils import timezone


def get_now() -> datetime.datetime:
    """Return the present instant, aware, in UTC."""
    return timezone.now()
