"""Doors for Celery's beat."""

import celery
from django.conf import settings

from programs.usecases import name_members as name_members_usecase


@celery.shared_task(name="programs.name_members", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def name_members() -> None:
    """Tell the relayer whose gas the programs may pay for."""
    name_members_usecase.name_members()
