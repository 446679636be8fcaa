"""A websocket is opened with a ticket that is made for an access token and used up by the first who shows it."""

import datetime
import hashlib
import secrets

from openvpp.core import db
from wallets import models

LIFETIME = datetime.timedelta(seconds=30)


@db.durable
def make_ticket(*, token: models.AccessToken, now: datetime.datetime) -> str:
    """Return a ticket that stands for an access token once."""
    ticket = secrets.token_urlsafe(32)
    models.SocketTicket.objects.create(digest=_digest(ticket), access_token=token, expires_at=now + LIFETIME)
    return ticket


@db.durable
def use_up(*, ticket: str, now: datetime.datetime) -> int | None:
    """Return the id of the access token that a ticket stands for; None if it is unknown, used or too old."""
    row = models.SocketTicket.objects.filter(digest=_digest(ticket)).first()
    if row is None or models.SocketTicket.objects.filter(pk=row.pk).delete()[0] == 0:
        return None
    return row.access_token_id if now < row.expires_at else None


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
