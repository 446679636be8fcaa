"""Reading who may spend from a wallet."""

import uuid
from typing import Any

from django.db import models as db_models

from customers import models as customer_models
from openvpp.core import errors
from wallets import models


def get_active_grant(token: object) -> models.SessionKeyGrant | None:
    """Return the grant that pays for a request with this access token, if it has one that is alive."""
    grant: models.SessionKeyGrant | None = getattr(token, "session_key_grant", None)
    return grant if grant is not None and grant.state in grant.LIVE_STATES else None


class UnableToFindGrant(errors.NotFound):
    """There is no such grant, or it is not this person's."""


def get_grants(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return the grants that a person has given, newest first."""
    return (
        models.SessionKeyGrant.objects.for_customer(user)
        .select_related("application", "wallet__utility")
        .order_by("-created_at", "-pk")
    )


def get_grant(*, user: customer_models.User, grant_id: uuid.UUID) -> models.SessionKeyGrant:
    """Return one grant that a person has given.

    :raises UnableToFindGrant: none that they may know of.
    """
    grant: models.SessionKeyGrant | None = get_grants(user=user).filter(pk=grant_id).first()
    if grant is None:
        raise UnableToFindGrant("There is no such grant.", code="not_found")
    return grant


def lock_grant(*, grant_id: uuid.UUID) -> models.SessionKeyGrant:
    """Lock a grant until the open transaction ends. Locks are taken in the order grant, code, refresh token.

    :raises UnableToFindGrant: there is none.
    """
    grant: models.SessionKeyGrant | None = (
        models.SessionKeyGrant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("wallet")
        .filter(pk=grant_id)
        .first()
    )
    if grant is None:
        raise UnableToFindGrant("There is no such grant.", code="not_found")
    return grant
