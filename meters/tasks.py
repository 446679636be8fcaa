"""What Celery's beat wakes up for meter data."""

import celery

from meters.usecases import fetch_weather, keep_meter_data
from openvpp.core import clock


@celery.shared_task(name="meters.make_partitions", ignore_result=True)
def make_partitions() -> None:
    """Make the partitions of the months to come."""
    keep_meter_data.make_ahead(now=clock.get_now())


@celery.shared_task(name="meters.fetch_weather", ignore_result=True)
def fetch_due_weather() -> None:
    """Fetch the weather of utilities that set an address for it, about once a day."""
    fetch_weather.fetch_due(now=clock.get_now())
