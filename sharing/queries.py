"""Reads of who shares what with whom, each beginning at the one who asks."""

import dataclasses
import datetime
import uuid
import zoneinfo
from typing import Any

from django.db.models import F, Q, QuerySet

from customers import models as customers_models
from meters.domain import sharing as day_sharing
from openvpp.core import errors
from sharing import models
from wallets.domain import data_scopes


class UnableToShare(errors.Forbidden):
    """The token carries no leave of a customer that is good now."""


@dataclasses.dataclass(frozen=True, slots=True)
class SharedPoint:
    """A service point as a third party may see it: local days, ascending, and the zone that they are of."""

    id: uuid.UUID
    service_point_id: int
    zone: zoneinfo.ZoneInfo
    parts: tuple[tuple[datetime.date, datetime.date], ...]


def get_authorization_of(*, token: Any, now: datetime.datetime) -> models.Authorization:
    """Return the leave that an access token carries.

    :raises UnableToShare: it carries none, or that one has ended.
    """
    scope = data_scopes.find(token.scope)
    found: models.Authorization | None = (
        models.Authorization.objects.select_related("third_party__utility", "third_party__application", "customer")
        .filter(pk=scope.authorization_id, third_party__application_id=token.application_id, user_id=token.user_id)
        .first()
        if scope is not None and scope.authorization_id is not None and token.user_id is not None
        else None
    )
    if found is None or not found.is_live(now=now):
        raise UnableToShare("The token carries no customer's leave that is good now.", code="no_authorization")
    return found


def get_third_party_of(*, token: Any) -> models.ThirdParty:
    """Return the third party that a token speaks for, be it the application's or the system's.

    :raises UnableToShare: it speaks for none.
    """
    found: models.ThirdParty | None = (
        models.ThirdParty.objects.select_related("utility", "application", "system_application")
        .filter(Q(application_id=token.application_id) | Q(system_application_id=token.application_id))
        .first()
    )
    if found is None:
        raise UnableToShare("The token is no third party's.", code="third_party_required")
    return found


def get_authorizations_for_customer(*, user: customers_models.User) -> "QuerySet[Any]":
    """Return a person's own authorizations, ended ones too, the latest first."""
    rows: QuerySet[Any] = models.Authorization.objects.for_customer(user).select_related("third_party__utility")
    return rows.prefetch_related("points__service_point__premise").order_by("-starts_at", "pk")


def get_live_authorizations_of(*, third_party: models.ThirdParty, now: datetime.datetime) -> "QuerySet[Any]":
    """Return the authorizations of a third party that are good now, the oldest first."""
    rows: QuerySet[Any] = models.Authorization.objects.filter(
        third_party=third_party, ended_at__isnull=True, starts_at__lte=now, ends_at__gt=now
    )
    return rows.order_by("starts_at", "pk")


def get_untold(*, third_party_id: int, now: datetime.datetime) -> "QuerySet[Any]":
    """Return a third party's live authorizations whose data changed since it was told."""
    rows: QuerySet[Any] = models.Authorization.objects.filter(
        third_party_id=third_party_id, ended_at__isnull=True, ends_at__gt=now, data_changed_at__isnull=False
    )
    return rows.filter(Q(notified_at__isnull=True) | Q(notified_at__lt=F("data_changed_at"))).order_by("pk")


def get_shared_points(*, authorization: models.Authorization, now: datetime.datetime) -> list[SharedPoint]:
    """Return the points of an authorization, each with the local days that may be told at this instant.

    Only days since the history's first, up to today, on which an account that the customer still holds took service
    there: who moved out, or lost the account, shares no more of it.
    """
    zone = zoneinfo.ZoneInfo(authorization.third_party.utility.time_zone)
    first = authorization.history_starts_at.astimezone(zone).date()
    after = now.astimezone(zone).date() + datetime.timedelta(days=1)
    shared = []
    for point in authorization.points.order_by("pk"):
        ranges = [
            day_sharing.DayRange(agreement.starts_on, agreement.ends_on)
            for agreement in get_shareable_agreements(
                user=authorization.user, utility_id=authorization.third_party.utility_id
            ).filter(service_point_id=point.service_point_id)
        ]
        parts = tuple(day_sharing.clip(ranges=ranges, first=first, after=after))
        if parts:
            shared.append(SharedPoint(point.pk, point.service_point_id, zone, parts))
    return shared


def get_shareable_agreements(*, user: customers_models.User, utility_id: int) -> "QuerySet[Any]":
    """Return the service that a person takes at a utility by accounts that they hold."""
    held = customers_models.AccountAccess.objects.filter(
        customer__user=user, role=customers_models.AccountAccess.Role.HOLDER, account__utility_id=utility_id
    )
    rows: QuerySet[Any] = customers_models.ServiceAgreement.objects.for_customer(user).filter(
        account__in=held.values("account")
    )
    return rows.select_related("account", "service_point__premise").order_by("starts_on", "pk")


def lock_authorization(*, authorization_id: uuid.UUID) -> models.Authorization:
    """Lock an authorization until the transaction ends and return it.

    :raises errors.NotFound: there is none.
    """
    found: models.Authorization | None = (
        models.Authorization.objects.select_for_update(no_key=True).filter(pk=authorization_id).first()
    )
    if found is None:
        raise errors.NotFound("There is no such authorization.", code="not_found")
    return found
