"""Doors for Celery's beat."""

import celery
from django.conf import settings

from openvpp.core import clock
from relayer.usecases import refresh_prices as refresh_prices_usecase


@celery.shared_task(name="relayer.refresh_prices", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def refresh_prices() -> None:
    """Read the price feeds."""
    refresh_prices_usecase.refresh_prices(chain_id=settings.CHAIN_ID, now=clock.get_now())
