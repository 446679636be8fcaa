"""When what is known of a service point's days came in."""

import dataclasses
import datetime

from django.db.models import Max, Min

from meters import models
from meters.domain import units


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """When the first and the latest readings of a local day came in."""

    first_at: datetime.datetime
    latest_at: datetime.datetime


def get_arrivals(*, service_point_id: int, first: datetime.date, last: datetime.date) -> dict[datetime.date, Arrival]:
    """Return when the counted energy of each local day from `first` to `last`, both included, came in."""
    chosen = {
        "channel__service_point_id": service_point_id,
        "channel__source": models.Channel.Source.METER,
        "channel__unit": units.Unit.WATT_HOUR.value,
        "channel__is_counted": True,
        "local_date__range": (first, last),
    }
    standing = models.MeterDay.objects.filter(**chosen).values_list("local_date")
    found = {
        day: Arrival(first_at, latest_at)
        for day, first_at, latest_at in standing.annotate(Min("batch__imported_at"), Max("batch__imported_at"))
    }
    earlier = models.MeterDayVersion.objects.filter(**chosen).values_list("local_date")
    for day, first_at in earlier.annotate(Min("batch__imported_at")):
        if day in found:
            found[day] = Arrival(min(first_at, found[day].first_at), found[day].latest_at)
    return found
