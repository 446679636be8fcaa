"""Replacing the owner key of a customer's wallet. `subject` is the wallet's id."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from controls import models as controls_models
from openvpp.core import errors, jobs
from wallets import models


class UnableToAskForKey(errors.UnableTo):
    """The wallet is not in custody, or its key is being replaced already."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    """Name none: it is asked for from the page of the wallet."""
    return []


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).utility_id)


def name(*, subject: str) -> str:
    return str(_get(subject).address)


def read(*, subject: str) -> dict[str, Any]:
    return {"owner": str(_get(subject).owner_key.address), "replace": False}


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse anything but a replacement of the present key.

    :raises UnableToAskForKey: with the reason.
    """
    wallet = _get(subject)
    if after["replace"] is not True or after["owner"] != str(wallet.owner_key.address):
        raise UnableToAskForKey("The key is only replaced here, and by a new one.", code="not_sound")
    if wallet.left_custody_at is not None:
        raise UnableToAskForKey("The customer owns the wallet.", code="left_already")
    if models.OwnerRotation.objects.filter(wallet=wallet, state__in=models.OwnerRotation.OPEN_STATES).exists():
        raise UnableToAskForKey("The key is being replaced already.", code="rotation_open")


def apply(
    *, subject: str, after: Mapping[str, Any], change: controls_models.ChangeRequest, now: datetime.datetime
) -> None:
    """Have the next key made and announced."""
    models.OwnerRotation.objects.create(wallet=_get(subject), change=change, created_at=now)
    jobs.enqueue(
        name="wallets.announce_owner",
        key=f"wallets.announce_owner:{change.pk}",
        arguments={"change_id": str(change.pk)},
        run_at=now,
    )


def _get(subject: str) -> models.Wallet:
    try:
        found: models.Wallet | None = (
            models.Wallet.objects.select_related("owner_key")
            .filter(pk=uuid.UUID(subject), kind=models.Wallet.Kind.CUSTOMER)
            .first()
        )
    except ValueError:
        found = None
    if found is None:
        raise errors.NotFound("There is no such wallet.", code="not_found")
    return found
