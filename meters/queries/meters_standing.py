"""Which meters stand where, and what their reads are multiplied by."""

import datetime
import fractions
from collections.abc import Mapping, Sequence

from customers import models as customers_models
from meters.domain import multipliers


def get_multiplying(
    *, service_point_ids: Sequence[int], first: datetime.date, last: datetime.date
) -> Mapping[int, list[multipliers.Meter]]:
    """Return the meters standing on local days `first` to `last`, of points where one's multiplier is not 1.

    Points whose reads are energy already, nearly all, are absent.
    """
    standing = customers_models.MeterInstallation.objects.filter(
        service_point_id__in=service_point_ids, starts_on__lte=last
    ).exclude(ends_on__lte=first)
    multiplying = set(standing.exclude(multiplier=1).values_list("service_point_id", flat=True))
    found: dict[int, list[multipliers.Meter]] = {}
    for row in standing.filter(service_point_id__in=multiplying):
        found.setdefault(row.service_point_id, []).append(
            multipliers.Meter(row.serial, fractions.Fraction(row.multiplier), row.starts_on, row.ends_on)
        )
    return found


def is_multiplied(*, service_point_id: int) -> bool:
    """Say whether reads of a meter that ever stood at a point are not energy yet."""
    standing = customers_models.MeterInstallation.objects.filter(service_point_id=service_point_id)
    return bool(standing.exclude(multiplier=1).exists())
