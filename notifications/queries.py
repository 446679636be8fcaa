"""Reading what people were told."""

from typing import Any

from django.db import models as db_models

from customers import models as customer_models
from notifications import models


def get_notices_after(*, user: customer_models.User, after: int) -> "db_models.QuerySet[models.Notice]":
    """Return a person's own notices with a sequence above `after`, oldest first."""
    return models.Notice.objects.for_customer(user).filter(sequence__gt=after).order_by("sequence")


def get_recent_notices(*, user_ids: list[int], utility_id: int, most: int) -> "db_models.QuerySet[models.Notice]":
    """Return the latest notices that one utility told these people, newest first."""
    return (
        models.Notice.objects.of_utility(utility_id).filter(user_id__in=user_ids).order_by("-created_at", "-pk")[:most]
    )


def as_message(notice: models.Notice) -> dict[str, Any]:
    """Return a notice as phones read it, over REST and over the socket alike."""
    return {
        "sequence": notice.sequence,
        "kind": notice.kind,
        "title": notice.title,
        "body": notice.body,
        "data": notice.data,
        "created_at": notice.created_at,
        "read_at": notice.read_at,
    }
