"""A provider tells us something: believed when signed and fresh, acted on once."""

import datetime
import decimal
import logging

from ders import models, operations, queries
from ders.adapters import secrets
from ders.domain import messages, signature
from openvpp.core import db, errors

logger = logging.getLogger(__name__)

# A provider's clock may run ahead of ours by this much.
CLOCK_SKEW = datetime.timedelta(minutes=5)
OLDEST = datetime.timedelta(days=400)
# No device uses more than this many times its power: kWh taken for Wh, or W for kW, are a thousand times off.
MOST_TIMES_POWER = 10
# What a device gives is its power's and is paid for: no more than a meter's error and a rounded nameplate on top.
MOST_TIMES_POWER_GIVEN = decimal.Decimal("1.25")


class UnableToBelieveWebhook(errors.Forbidden):
    """No such provider, a wrong signature, or one too old; the answer does not say which."""

    status = 401


class UnableToReadWebhook(errors.Invalid):
    """The message is signed and wrong; nothing of it is stored."""


@db.transaction
def receive(*, slug: str, header: str, body: bytes, now: datetime.datetime) -> bool:
    """Act on a signed message; return False when its event id was used before and nothing was done.

    :raises UnableToBelieveWebhook: it is not the provider's, or not fresh.
    :raises UnableToReadWebhook: `malformed`, `unknown_command`, `unknown_device`, `impossible_time` or
        `implausible_energy`.
    """
    provider = _believe(slug=slug, header=header, body=body, now=now)
    try:
        message = messages.parse(body=body)
    except messages.MalformedError as error:
        raise UnableToReadWebhook(str(error), code="malformed") from error
    event = models.WebhookEvent(provider=provider, event_id=message.event_id, kind=message.kind, received_at=now)
    models.WebhookEvent.objects.bulk_create([event], ignore_conflicts=True)
    rows = models.WebhookEvent.objects.select_for_update().filter(provider=provider, event_id=message.event_id)
    if rows.get().pk != event.pk:
        return False
    if isinstance(message, messages.Telemetry):
        _record(provider=provider, message=message, now=now)
    else:
        _decide(provider=provider, message=message, now=now)
    return True


def _believe(*, slug: str, header: str, body: bytes, now: datetime.datetime) -> models.Provider:
    provider: models.Provider | None = models.Provider.objects.filter(slug=slug, is_active=True).first()
    # An unknown provider costs as much time as a known one.
    secret = secrets.derive(
        slug=slug,
        version=provider.secret_version if provider else 0,
        direction=secrets.Direction.FROM_PROVIDER,
    )
    verdict = signature.verify(secret=secret, body=body, header=header, now=now)
    if provider is None or isinstance(verdict, signature.Rejected):
        reason = "unknown provider" if not isinstance(verdict, signature.Rejected) else verdict.reason
        logger.warning("webhook refused: provider=%s reason=%s", slug, reason)
        raise UnableToBelieveWebhook(
            f"Sign timestamp and body with the shared secret in {signature.HEADER}.", code="not_signed"
        )
    return provider


def _decide(
    *,
    provider: models.Provider,
    message: messages.CommandAcknowledged | messages.CommandRefused,
    now: datetime.datetime,
) -> None:
    rows = models.Command.objects.filter(device__provider=provider)
    if not rows.filter(pk=message.command_id).exists():
        raise UnableToReadWebhook("There is no such command for your devices.", code="unknown_command")
    command = queries.lock_command(command_id=message.command_id)
    if command.state in operations.DECIDED:
        logger.info("late word on a command: command=%s state=%s", command.pk, command.state)
        return
    refused = isinstance(message, messages.CommandRefused)
    operations.decide_command(
        command_id=command.pk,
        state=models.Command.State.REFUSED if refused else models.Command.State.ACKNOWLEDGED,
        detail=message.reason if isinstance(message, messages.CommandRefused) else "",
        now=now,
    )


def _record(*, provider: models.Provider, message: messages.Telemetry, now: datetime.datetime) -> None:
    device = (
        models.Device.objects.filter(provider=provider, provider_device_id=message.device_id)
        .exclude(state=models.Device.State.REMOVED)
        .first()
    )
    if device is None:
        raise UnableToReadWebhook("There is no such device.", code="unknown_device")
    if message.intervals[-1].ends_at > now + CLOCK_SKEW or message.intervals[0].starts_at < now - OLDEST:
        raise UnableToReadWebhook("Telemetry is of the past 400 days.", code="impossible_time")
    rated_wh = device.power_kw * 1000 * message.intervals[0].seconds / 3600
    most_taken_wh, most_given_wh = rated_wh * MOST_TIMES_POWER, rated_wh * MOST_TIMES_POWER_GIVEN
    if any(each.delivered_wh > most_taken_wh or each.received_wh > most_given_wh for each in message.intervals):
        raise UnableToReadWebhook(
            f"A device of {device.power_kw} kW does not use or give this much. Send whole Wh of each interval.",
            code="implausible_energy",
        )
    operations.record_telemetry(device_id=device.pk, intervals=message.intervals, now=now)
