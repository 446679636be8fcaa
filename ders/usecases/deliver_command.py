"""A queued command reaches its provider once, however often this runs."""

import datetime
import uuid

from ders import models, operations, queries
from ders.adapters import provider as provider_adapter
from openvpp.core import db, errors

LEASE = datetime.timedelta(seconds=30)
MAX_ATTEMPTS = 8


class UnableToDeliverCommand(errors.UnableTo):
    """The command is not worth sending any more."""


@db.durable
def deliver(*, command_id: str, now: datetime.datetime) -> None:
    """Send a command under its own id, which the provider acts on once; one that was sent already stays as it is.

    :raises UnableToDeliverCommand: `command_expired`.
    :raises errors.Unreachable: the provider did not answer, or another runner is at it; run it again.
    """
    command = _lease(command_id=uuid.UUID(command_id), now=now)
    if command is None:
        return
    try:
        provider_adapter.Client(provider=command.device.provider).send_command(
            command_id=command.pk,
            device_id=command.device.provider_device_id,
            power_kw=command.power_kw,
            starts_at=command.starts_at,
            ends_at=command.ends_at,
            now=now,
        )
    except errors.Refused as error:
        _decide(command=command, state=models.Command.State.REFUSED, detail=error.reason, now=now)
    except errors.Unreachable as error:
        if command.attempts < MAX_ATTEMPTS:
            models.Command.objects.filter(pk=command.pk).update(leased_until=None, detail=str(error)[:300])
            raise
        _decide(command=command, state=models.Command.State.FAILED, detail=str(error), now=now)
    else:
        models.Command.objects.filter(pk=command.pk, state=models.Command.State.QUEUED).update(
            state=models.Command.State.SENT, sent_at=now, leased_until=None, detail=""
        )


@db.transaction
def expire(*, command_id: str, now: datetime.datetime) -> None:
    """Give up a command that is still undecided when it is not worth waiting for any more.

    One that is decided, as most are by then, stays as it is.
    """
    if queries.lock_command(command_id=uuid.UUID(command_id)).state in operations.DECIDED:
        return
    operations.decide_command(
        command_id=uuid.UUID(command_id),
        state=models.Command.State.EXPIRED,
        detail="The provider did not acknowledge it in time.",
        now=now,
    )


@db.transaction
def _lease(*, command_id: uuid.UUID, now: datetime.datetime) -> models.Command | None:
    command = queries.lock_command(command_id=command_id)
    if command.state != models.Command.State.QUEUED:
        return None
    if now >= command.expires_at:
        raise UnableToDeliverCommand("The command is not worth sending any more.", code="command_expired")
    if command.leased_until is not None and command.leased_until > now:
        raise errors.Unreachable("Another runner is sending this command.")
    command.leased_until = now + LEASE
    command.attempts += 1
    command.save(update_fields=["leased_until", "attempts"])
    return command


@db.transaction
def _decide(*, command: models.Command, state: models.Command.State, detail: str, now: datetime.datetime) -> None:
    operations.decide_command(command_id=command.pk, state=state, detail=detail, now=now)
