"""Doors for Celery: look for operations that wait."""

import celery
from django.conf import settings

from openvpp.core import clock
from wallets.usecases import submit_waiting


@celery.shared_task(name="wallets.submit_waiting", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def submit_waiting_operations() -> None:
    """Send what was reserved and not sent."""
    submit_waiting.submit_waiting(now=clock.get_now())
