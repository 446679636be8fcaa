"""Staff take a relayer key out of use: no new bundle goes out with it, open ones end, then it is disabled.

While it drains a relay holds it as ever, to send its open bundles again and to replace them.
"""

import datetime

from django.db.models import Exists, OuterRef

from customers import models as customer_models
from openvpp.core import db, errors
from relayer import models

_OPEN = (models.Bundle.State.PENDING, models.Bundle.State.MINED)


class UnableToDrain(errors.UnableTo):
    """The key is not in use, or has not left it."""

    status = 409


@db.transaction
def drain(*, key_id: int, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    """Send nothing new with a key.

    :raises UnableToDrain: `not_in_use`.
    """
    key = models.RelayerKey.objects.select_for_update().get(pk=key_id)
    if not key.is_enabled or key.draining_since is not None:
        raise UnableToDrain("The key drains already, or is disabled.", code="not_in_use")
    key.draining_since = now
    key.save(update_fields=["draining_since"])
    _note(kind=models.StaffAction.Kind.DRAIN, key=key, by=by, reason=reason, now=now)


@db.transaction
def bring_back(*, key_id: int, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    """Send with a key again, whether it still drains or is disabled.

    :raises UnableToDrain: `in_use`.
    """
    key = models.RelayerKey.objects.select_for_update().get(pk=key_id)
    if key.is_enabled and key.draining_since is None:
        raise UnableToDrain("The key is in use.", code="in_use")
    key.is_enabled, key.draining_since = True, None
    key.save(update_fields=["is_enabled", "draining_since"])
    _note(kind=models.StaffAction.Kind.BRING_BACK, key=key, by=by, reason=reason, now=now)


@db.transaction
def disable_drained() -> int:
    """Disable the draining keys whose bundles have all ended; return how many."""
    open_ = models.Bundle.objects.filter(relayer_key=OuterRef("pk"), state__in=_OPEN)
    drained = models.RelayerKey.objects.filter(~Exists(open_), draining_since__isnull=False, is_enabled=True)
    return drained.update(is_enabled=False)


def _note(*, kind: str, key: models.RelayerKey, by: customer_models.User, reason: str, now: datetime.datetime) -> None:
    models.StaffAction.objects.create(kind=kind, relayer_key=key, made_by=by, reason=reason, made_at=now)
