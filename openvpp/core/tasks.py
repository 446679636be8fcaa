"""The door through which Celery wakes jobs up. If the broker is away, beat finds them later."""

import logging

import kombu.exceptions

from openvpp import celery
from openvpp.core import clock, jobs

logger = logging.getLogger(__name__)


@celery.app.task(name="core.run_due_jobs", ignore_result=True)
def run_due_jobs() -> None:
    """Run the jobs that are due."""
    jobs.run_due(now=clock.get_now())


def wake() -> None:
    """Ask a worker to look now; a broker that is away only costs time."""
    try:
        run_due_jobs.apply_async(retry=False)
    except (kombu.exceptions.OperationalError, OSError):
        logger.warning("broker unreachable; the job waits for beat")
