"""Changes of the treasury and the token from which a program pays. `subject` is the program's id."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from controls import models as controls_models
from customers import models as customer_models
from openvpp.core import errors
from programs import models
from wallets import models as wallet_models

ENDED = (models.Event.State.SETTLED, models.Event.State.CANCELLED)


class UnableToChangeProgram(errors.UnableTo):
    """A program cannot pay so, or an event that was called is not settled yet."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    rows = models.Program.objects.of_utility(utility_id).order_by("name")
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).utility_id)


def name(*, subject: str) -> str:
    return str(_get(subject).name)


def read(*, subject: str) -> dict[str, Any]:
    program = _get(subject)
    return {
        "treasury_wallet": program.treasury_wallet.address,
        "payout_token": program.payout_token.symbol,
    }


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse what no program of this utility can have, and any change while an event waits for its settlement.

    :raises UnableToChangeProgram: with the first reason.
    """
    _sound(subject, after)


def apply(
    *, subject: str, after: Mapping[str, Any], change: controls_models.ChangeRequest, now: datetime.datetime
) -> None:
    """Write from where and in what is paid."""
    _sound(subject, after).save(update_fields=["treasury_wallet", "payout_token"])


def _sound(subject: str, after: Mapping[str, Any]) -> models.Program:
    program = _get(subject)
    if program.events.exclude(state__in=ENDED).exists():
        raise UnableToChangeProgram(
            "An event is not settled yet. It is paid as it was called; change this after.", code="event_open"
        )
    wallet = next(
        (
            row
            for row in wallet_models.Wallet.objects.of_utility(program.utility_id).filter(kind="treasury")
            if row.address == after["treasury_wallet"]
        ),
        None,
    )
    token = (
        customer_models.AcceptedToken.objects.of_utility(program.utility_id)
        .filter(symbol=after["payout_token"])
        .first()
    )
    if wallet is None or token is None:
        raise UnableToChangeProgram("The utility has no such treasury wallet or token.", code="not_sound")
    program.treasury_wallet, program.payout_token = wallet, token
    return program


def _get(subject: str) -> models.Program:
    try:
        found = (
            models.Program.objects.select_related("treasury_wallet", "payout_token")
            .filter(pk=uuid.UUID(subject))
            .first()
        )
    except ValueError:
        found = None
    if found is None:
        raise errors.NotFound("There is no such program.", code="not_found")
    program: models.Program = found
    return program
