"""Changes of the caps of a program's treasury. `subject` is the id of the key that owns the treasury.

Caps are sealed with the key, so approval enqueues `custody.apply_change`, and the signer, which looks at the approved
change itself, seals the key with its new caps.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from controls import models as controls_models
from custody import models, queries
from custody.domain import caps
from openvpp.core import errors, jobs

PREFIX = "wallet:treasury:"


class UnableToChangeCaps(errors.UnableTo):
    """These are no caps."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    rows = models.SealedKey.objects.filter(
        purpose=models.SealedKey.Purpose.TREASURY_OWNER, subject__startswith=f"{PREFIX}{utility_id}:"
    )
    return [str(pk) for pk in rows.order_by("pk").values_list("pk", flat=True)]


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).subject.removeprefix(PREFIX).partition(":")[0])


def name(*, subject: str) -> str:
    return _get(subject).subject.removeprefix(PREFIX).partition(":")[2]


def read(*, subject: str) -> dict[str, Any]:
    return {"caps": _get(subject).policy["caps"]}


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse what are no caps.

    :raises UnableToChangeCaps: with the first reason.
    """
    try:
        caps.read(after["caps"])
    except ValueError as error:
        raise UnableToChangeCaps(str(error), code="not_sound") from None


def apply(
    *, subject: str, after: Mapping[str, Any], change: controls_models.ChangeRequest, now: datetime.datetime
) -> None:
    """Have the signer seal the key with the new caps."""
    jobs.enqueue(
        name="custody.apply_change",
        key=f"custody.apply_change:{change.pk}",
        arguments={"change_id": str(change.pk)},
        run_at=now,
    )


def _get(subject: str) -> models.SealedKey:
    key = queries.get_key(key_id=int(subject)) if subject.isdigit() else None
    if key is None or key.purpose != models.SealedKey.Purpose.TREASURY_OWNER or not key.subject.startswith(PREFIX):
        raise errors.NotFound("There is no such treasury.", code="not_found")
    return key
