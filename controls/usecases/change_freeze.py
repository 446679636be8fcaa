"""Lifting of a freeze. `subject` is the freeze's id."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from controls import models
from openvpp.core import errors


class UnableToLiftFreeze(errors.UnableTo):
    """A freeze is lifted, and no more."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    rows = models.Freeze.objects.of_utility(utility_id).filter(lifted_at__isnull=True).order_by("made_at")
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).utility_id)


def name(*, subject: str) -> str:
    return str(_get(subject).account)


def read(*, subject: str) -> dict[str, Any]:
    return {"frozen": _get(subject).lifted_at is None}


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse anything but a lifting.

    :raises UnableToLiftFreeze: it would freeze.
    """
    if after["frozen"] is not False:
        raise UnableToLiftFreeze("A freeze is only lifted here.", code="not_sound")


def apply(*, subject: str, after: Mapping[str, Any], change: models.ChangeRequest, now: datetime.datetime) -> None:
    """Lift the freeze."""
    row = _get(subject)
    row.lifted_at, row.lifted_by = now, change
    row.save(update_fields=["lifted_at", "lifted_by"])


def _get(subject: str) -> models.Freeze:
    try:
        found: models.Freeze | None = models.Freeze.objects.filter(pk=uuid.UUID(subject)).first()
    except ValueError:
        found = None
    if found is None:
        raise errors.NotFound("There is no such freeze.", code="not_found")
    return found
