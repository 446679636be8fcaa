"""A customer lets a third party have their data, and ends that again."""

import datetime
import uuid
from collections.abc import Sequence

from openvpp.core import db, errors
from sharing import models, queries
from wallets import operations as wallet_operations
from wallets.domain import data_scopes

EndedBy = models.Authorization.EndedBy


class UnableToAllow(errors.UnableTo):
    """The application is no registered third party, or what it asks for is not the person's to share."""


@db.transaction_required
def allow(
    *,
    authorization_id: uuid.UUID,
    user_id: int,
    application_id: int,
    scope: str,
    service_point_ids: Sequence[int],
    shown_text: str,
    ends_at: datetime.datetime,
    now: datetime.datetime,
) -> None:
    """Keep what a person allowed on the consent page, in the transaction that makes the code.

    :raises UnableToAllow: see its name; then nothing was kept.
    """
    third_party = (
        models.ThirdParty.objects.select_related("utility", "application").filter(application_id=application_id).first()
    )
    if third_party is None or not third_party.application.is_active:
        raise UnableToAllow("This application is not registered to receive data.", code="not_a_third_party")
    customer = third_party.utility.customers.filter(user_id=user_id).select_related("user").first()
    if customer is None or customer.user is None:
        raise UnableToAllow("The person is no customer of this utility.", code="no_customer")
    shareable = queries.get_shareable_agreements(user=customer.user, utility_id=third_party.utility_id)
    wanted = set(service_point_ids)
    if not wanted or wanted - set(shareable.values_list("service_point_id", flat=True)):
        raise UnableToAllow("A service point is not this person's to share.", code="not_shareable")
    terms = data_scopes.DataScope.parse(scope)
    authorization = models.Authorization.objects.create(
        pk=authorization_id,
        third_party=third_party,
        customer=customer,
        user=customer.user,
        scope=scope,
        shown_text=shown_text,
        history_starts_at=now - (terms.history or datetime.timedelta()),
        starts_at=now,
        ends_at=ends_at,
    )
    models.AuthorizedPoint.objects.bulk_create(
        [models.AuthorizedPoint(authorization=authorization, service_point_id=point) for point in sorted(wanted)]
    )


@db.transaction_required
def end(*, authorization_id: uuid.UUID, ended_by: str, now: datetime.datetime) -> models.Authorization:
    """End an authorization and every token that came of it; one that has ended stays as it is.

    :raises errors.NotFound: there is none.
    """
    authorization = queries.lock_authorization(authorization_id=authorization_id)
    if authorization.ended_at is None:
        authorization.ended_at, authorization.ended_by = now, ended_by
        authorization.save(update_fields=["ended_at", "ended_by"])
        wallet_operations.end_data_access(authorization_id=authorization_id, now=now)
    return authorization


@db.transaction_required
def on_tokens_revoked(*, authorization_id: uuid.UUID, now: datetime.datetime) -> None:
    """End the authorization whose tokens the third party gave back."""
    if models.Authorization.objects.filter(pk=authorization_id).exists():
        end(authorization_id=authorization_id, ended_by=EndedBy.THIRD_PARTY, now=now)
