"""New readings come in: each third party that may have them is told where they are, in one message (FB 39, PUSH)."""

import datetime
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from openvpp.core import db, jobs
from sharing import models, queries
from sharing.adapters import third_party
from sharing.domain import resources

# Readings come in bursts; whoever listens is told once for all of a burst.
GATHERING = datetime.timedelta(seconds=60)
MOST_AT_ONCE = 1000


@db.transaction_required
def on_readings_stored(*, service_point_ids: Collection[int] | QuerySet[Any], now: datetime.datetime) -> None:
    """Mark what changed, and see to it that the third parties are told; in the transaction of the readings.

    The ids may also be a query for them, which is then one with ours.
    """
    changed = models.Authorization.objects.filter(
        pk__in=models.AuthorizedPoint.objects.filter(service_point_id__in=service_point_ids).values("authorization"),
        ended_at__isnull=True,
        ends_at__gt=now,
    ).exclude(third_party__notify_uri="")
    parties = sorted(set(changed.values_list("third_party_id", flat=True)))
    if not parties:
        return
    changed.filter(Q(data_changed_at__isnull=True) | Q(data_changed_at__lt=now)).update(data_changed_at=now)
    run_at = now + GATHERING
    burst = int(run_at.timestamp()) // int(GATHERING.total_seconds())
    for party in parties:
        jobs.enqueue(
            name="sharing.notify",
            key=f"sharing.notify:{party}:{burst}",
            arguments={"third_party_id": party},
            run_at=run_at,
        )


@db.durable
def notify(*, third_party_id: int, now: datetime.datetime) -> None:
    """Tell a third party where its new data are; what it was told is not told again.

    :raises errors.Unreachable: it did not answer; the job tries again.
    :raises errors.Refused: it answered no, or its address is none that we write to.
    """
    party = models.ThirdParty.objects.select_related("application").get(pk=third_party_id)
    untold = list(queries.get_untold(third_party_id=third_party_id, now=now)[:MOST_AT_ONCE])
    if not untold or not party.notify_uri or not party.application.is_active:
        return
    body = resources.batch_list(
        hrefs=[resources.batch_href(base=settings.BASE_URL, authorization_id=one.pk) for one in untold]
    )
    third_party.post(third_party=party, body=body.encode(), now=now)
    with db.transaction():
        for authorization in untold:
            models.Authorization.objects.filter(pk=authorization.pk).update(notified_at=authorization.data_changed_at)
        if len(untold) == MOST_AT_ONCE:
            jobs.enqueue(
                name="sharing.notify",
                key=f"sharing.notify:{third_party_id}:after:{untold[-1].pk}:{int(now.timestamp())}",
                arguments={"third_party_id": third_party_id},
                run_at=now,
            )
