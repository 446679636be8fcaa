"""Tell those who asked for an operation what became of it: `user_operation.changed`, step by step, each step once.

The relay writes news down and goes on; this is told by processes that know the apps above. Any number may tell at once:
a step is one transaction of its taker's writing and of the news' end, and the steps of one operation keep their order.
"""

import datetime
import logging

from django import db as django_db
from django.db.models import Exists, F, OuterRef, Q

from openvpp.core import db, upcalls
from relayer import models

logger = logging.getLogger(__name__)

CHANGED = "user_operation.changed"
AGAIN_AFTER = datetime.timedelta(seconds=5)
_FINAL = (models.UserOperation.State.SUCCEEDED, models.UserOperation.State.FAILED)


@db.durable
def tell_changes(*, now: datetime.datetime) -> int:
    """Tell all that there is to tell; return how many steps were taken down."""
    told = 0
    while (found := _tell_next(now=now)) is not None:
        told += found
    return told


def _tell_next(*, now: datetime.datetime) -> int | None:
    """Tell one step, the oldest; None when nothing waits, 0 when its taker failed."""
    news: models.OperationNews | None = None
    try:
        with db.transaction():
            news = _lock_next(now=now)
            if news is None:
                return None
            upcalls.call(
                event=CHANGED,
                user_operation_hash=str(news.user_operation_id),
                state=str(news.state),
                detail=news.detail,
                now=now,
            )
            news.delete()
    except Exception as error:
        if news is None:
            raise
        logger.exception("nobody took word of %s: %s", news.user_operation_id, news.state)
        _put_off(news=news, is_passing=isinstance(error, django_db.OperationalError), now=now)
        return 0
    return 1


def _lock_next(*, now: datetime.datetime) -> models.OperationNews | None:
    earlier = models.OperationNews.objects.filter(user_operation=OuterRef("user_operation"), pk__lt=OuterRef("pk"))
    due = models.OperationNews.objects.filter(Q(not_before=None) | Q(not_before__lte=now)).exclude(Exists(earlier))
    found: models.OperationNews | None = due.order_by("pk").select_for_update(skip_locked=True).first()
    return found


@db.transaction
def _put_off(*, news: models.OperationNews, is_passing: bool, now: datetime.datetime) -> None:
    """Tell an end again later, however often, and anything that met a database in trouble.

    A step on the way that its taker has a mistake with is not worth that the end waits for it.
    """
    row = models.OperationNews.objects.filter(pk=news.pk)
    if news.state in _FINAL or is_passing:
        row.update(not_before=now + AGAIN_AFTER, attempts=F("attempts") + 1)
    else:
        row.delete()
