"""What Celery's beat wakes up for meter data."""

import celery

from meters.usecases import keep_meter_data
from openvpp.core import clock


@celery.shared_task(name="meters.make_partitions", ignore_result=True)
def make_partitions() -> None:
    """Make the partitions of the months to come."""
    keep_meter_data.make_ahead(now=clock.get_now())
