"""The recovery of a wallet whose customer lost their key, which staff ask for. `subject` is the wallet's id."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from controls import models as controls_models
from openvpp.core import errors, jobs
from wallets import models

State = models.WalletRecovery.State


class UnableToAskForRecovery(errors.UnableTo):
    """The customer named no key for this wallet, or the key did not sign."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    """Name the wallets whose customers proved a new key."""
    rows = models.WalletRecovery.objects.of_utility(utility_id).filter(state=State.PROVEN)
    return [str(wallet_id) for wallet_id in rows.order_by("created_at").values_list("wallet_id", flat=True)]


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).utility_id)


def name(*, subject: str) -> str:
    return str(_get(subject).address)


def read(*, subject: str) -> dict[str, Any]:
    """Return the recovery that waits for two people; its key is for them to name."""
    wallet = _get(subject)
    proven = _proven(wallet)
    return {
        "wallet": str(wallet.address),
        "recovery_id": str(proven.pk) if proven is not None else "",
        "new_owner": "",
    }


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse anything but the recovery to the key that was proven.

    :raises UnableToAskForRecovery: with the reason.
    """
    proven = _proven(_get(subject))
    if proven is None:
        raise UnableToAskForRecovery("The customer has proven no key for this wallet yet.", code="not_proven")
    if dict(after) != read(subject=subject) | {"new_owner": str(proven.new_owner)}:
        raise UnableToAskForRecovery("The wallet goes to the key that was proven, and to no other.", code="not_sound")


def apply(
    *, subject: str, after: Mapping[str, Any], change: controls_models.ChangeRequest, now: datetime.datetime
) -> None:
    """Have it proposed on the chain."""
    models.WalletRecovery.objects.filter(pk=after["recovery_id"], state=State.PROVEN).update(
        state=State.DECIDED, change=change
    )
    jobs.enqueue(
        name="wallets.schedule_recovery",
        key=f"wallets.schedule_recovery:{change.pk}",
        arguments={"change_id": str(change.pk)},
        run_at=now,
    )


def _proven(wallet: models.Wallet) -> models.WalletRecovery | None:
    found: models.WalletRecovery | None = models.WalletRecovery.objects.filter(
        wallet=wallet, state=State.PROVEN
    ).first()
    return found


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
