"""Service points and the days that a person may see of them; locks and versions of channels."""

import datetime
from collections.abc import Callable, Sequence

from django.db.models import Count

from customers import models as customers_models
from meters import models
from meters.domain import sharing
from openvpp.core import errors

NO_ACCOUNT = 0


def get_visible_service_point(*, user: customers_models.User, service_point_id: int) -> customers_models.ServicePoint:
    """Return a service point that a person may know of.

    :raises errors.NotFound: there is none, or it is not theirs.
    """
    point: customers_models.ServicePoint | None = (
        customers_models.ServicePoint.objects.visible_to(user)
        .select_related("premise__utility")
        .filter(pk=service_point_id)
        .first()
    )
    if point is None:
        raise errors.NotFound("There is no such service point.", code="not_found")
    return point


def get_visible_days(*, user: customers_models.User, service_point_id: int) -> list[sharing.DayRange] | None:
    """Return the local days of a service point that a person may see; None means all of them, to staff.

    Who moves in does not see what was used before, and who moved out not what is used after.
    """
    if customers_models.ServicePoint.objects.for_staff(user).filter(pk=service_point_id).exists():
        return None
    agreements = customers_models.ServiceAgreement.objects.for_customer(user).filter(service_point_id=service_point_id)
    return [sharing.DayRange(agreement.starts_on, agreement.ends_on) for agreement in agreements]


def get_service_point_id(*, utility_id: int, number: str) -> int:
    """Return a utility's service point by its number.

    :raises errors.NotFound: the utility has none, or several, of that number.
    """
    found = list(customers_models.ServicePoint.objects.of_utility(utility_id).filter(number=number)[:2])
    if len(found) != 1:
        raise errors.NotFound(f"The utility has no one service point {number}.", code="not_found")
    return int(found[0].pk)


def get_service_points_of_utility(*, utility_id: int, numbers: Sequence[str]) -> dict[str, int]:
    """Return the service points of a utility by their numbers; absent ones are absent."""
    rows = customers_models.ServicePoint.objects.of_utility(utility_id).filter(number__in=numbers)
    return {row.number: row.pk for row in rows}


def lock_channels(*, channel_ids: Sequence[int]) -> None:
    """Lock channels in the order of their ids."""
    list(models.Channel.objects.filter(pk__in=channel_ids).order_by("pk").select_for_update(no_key=True))


def count_versions(*, channel_id: int, dates: Sequence[datetime.date]) -> dict[datetime.date, int]:
    """Return how often each of these days was superseded; absent days never were."""
    if not dates:
        return {}
    rows = models.MeterDayVersion.objects.filter(channel_id=channel_id, local_date__in=dates).values_list("local_date")
    return dict(rows.annotate(Count("version")))


def account_by_day(
    *, service_point_id: int | None, first: datetime.date, last: datetime.date
) -> Callable[[datetime.date], int]:
    """Return which account took service at a point on each local day of a span; NO_ACCOUNT where none did."""
    agreements = (
        []
        if service_point_id is None
        else list(
            customers_models.ServiceAgreement.objects.filter(
                service_point_id=service_point_id, starts_on__lte=last
            ).exclude(ends_on__lte=first)
        )
    )

    def account_of(day: datetime.date) -> int:
        for agreement in agreements:
            if agreement.starts_on <= day and (agreement.ends_on is None or day < agreement.ends_on):
                return int(agreement.account_id)
        return NO_ACCOUNT

    return account_of
