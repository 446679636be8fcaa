"""A customer's exit from custody that staff ask for at the customer's request. `subject` is the wallet's id."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from controls import models as controls_models
from openvpp.core import errors, jobs
from wallets import models
from wallets.domain import new_owners


class UnableToAskForExit(errors.UnableTo):
    """That is no key, or the wallet is not in custody."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    """Name none: it is asked for from the page of the wallet."""
    return []


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).utility_id)


def name(*, subject: str) -> str:
    return str(_get(subject).address)


def read(*, subject: str) -> dict[str, Any]:
    wallet = _get(subject)
    leaving = models.CustodyExit.objects.filter(wallet=wallet, state__in=models.CustodyExit.OPEN_STATES).first()
    return {
        "new_owner": str(leaving.new_owner) if leaving is not None else "",
        "keeps_guardian": leaving.keeps_guardian if leaving is not None else False,
    }


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse what is no address, and a wallet that left already.

    :raises UnableToAskForExit: with the reason.
    """
    if _get(subject).left_custody_at is not None or read(subject=subject)["new_owner"]:
        raise UnableToAskForExit("The wallet left custody, or is leaving.", code="left_already")
    try:
        new_owners.of_address(str(after["new_owner"]))
    except new_owners.UnableToReadNewOwner as error:
        raise UnableToAskForExit(str(error), code="not_sound") from None


def apply(
    *, subject: str, after: Mapping[str, Any], change: controls_models.ChangeRequest, now: datetime.datetime
) -> None:
    """Have it announced."""
    jobs.enqueue(
        name="wallets.ask_exit",
        key=f"wallets.ask_exit:{change.pk}",
        arguments={"change_id": str(change.pk)},
        run_at=now,
    )


def _get(subject: str) -> models.Wallet:
    try:
        found: models.Wallet | None = models.Wallet.objects.filter(
            pk=uuid.UUID(subject), kind=models.Wallet.Kind.CUSTOMER
        ).first()
    except ValueError:
        found = None
    if found is None:
        raise errors.NotFound("There is no such wallet.", code="not_found")
    return found
