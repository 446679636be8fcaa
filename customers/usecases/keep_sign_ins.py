"""On which devices a person is signed in: noted at sign-in, seen at use, ended by the person.

The session carries the id of its row, and the row the session as its table names it, so that either finds the other. A
session whose row has ended is worth nothing, whatever else its table says.
"""

import datetime
import uuid
from collections.abc import Sequence

from django.contrib.sessions import models as session_models
from django.contrib.sessions.backends import base

from customers import models, queries
from customers.domain import places
from openvpp.core import db, errors, sessions, upcalls

SEEN_EVERY = datetime.timedelta(minutes=5)


class UnableToFindSignIn(errors.NotFound):
    """The person is signed in on no such device."""


@db.transaction_required
def note(
    *, user: models.User, session: base.SessionBase, user_agent: str, address: str, now: datetime.datetime
) -> models.SignIn:
    """Write down that a person signed in with this session, just now; a session that goes on keeps its row."""
    known = queries.get_sign_in_of(session=session)
    if known is not None and known.user_id == user.pk and known.ended_at is None:
        return known
    row: models.SignIn = models.SignIn.objects.create(
        user=user,
        session_digest=sessions.stored_key(session.session_key),
        user_agent=places.user_agent(user_agent),
        network=places.network(address),
        signed_in_at=now,
        last_seen_at=now,
    )
    session[queries.SIGN_IN] = str(row.pk)
    return row


def see(*, session: base.SessionBase, address: str, now: datetime.datetime) -> bool:
    """Say whether a session's sign-in still holds, and write down that it was seen; most of the time that is one read.

    A session without a row, which nobody has signed in with, holds.
    """
    row = queries.get_sign_in_of(session=session)
    if row is None:
        return queries.SIGN_IN not in session
    if row.ended_at is not None:
        return False
    digest = sessions.stored_key(session.session_key)
    if row.session_digest != digest or row.last_seen_at < now - SEEN_EVERY:
        # Django gives a session another key when the person changes their password.
        models.SignIn.objects.filter(pk=row.pk, ended_at__isnull=True).update(
            session_digest=digest, last_seen_at=now, network=places.network(address) or row.network
        )
    return True


@db.transaction_required
def end_access(*, user: models.User, session: base.SessionBase | None, now: datetime.datetime) -> None:
    """End what a person allowed; after a new password, of which `session` knows, also all other sign-ins."""
    if session is not None:
        row = queries.get_sign_in_of(session=session)
        if row is not None:
            models.SignIn.objects.filter(pk=row.pk).update(session_digest=sessions.stored_key(session.session_key))
        end_all(user_id=user.pk, but=row.pk if row is not None else None, now=now)
    upcalls.call(event="customers.access_ended", user_id=user.pk, now=now)


@db.transaction_required
def end_everything(*, user: models.User, now: datetime.datetime) -> None:
    """End every sign-in and what a person allowed, as after a password that somebody else set."""
    end_all(user_id=user.pk, now=now)
    upcalls.call(event="customers.access_ended", user_id=user.pk, now=now)


@db.transaction
def end(*, user: models.User, sign_in_id: uuid.UUID, now: datetime.datetime) -> None:
    """Put one device out: its session, and every token and leave to spend that was given from it.

    :raises UnableToFindSignIn: none of this person's, or it ended before.
    """
    row = (
        queries.get_sign_ins(user=user, now=now)
        .select_for_update(of=("self",), no_key=True)
        .filter(pk=sign_in_id)
        .first()
    )
    if row is None:
        raise UnableToFindSignIn("You are signed in on no such device.", code="not_found")
    _end([row], now=now)


@db.transaction_required
def end_all(*, user_id: int, now: datetime.datetime, but: uuid.UUID | None = None) -> None:
    """Put every device of a person out, or all but one."""
    rows = models.SignIn.objects.filter(user_id=user_id, ended_at__isnull=True)
    if but is not None:
        rows = rows.exclude(pk=but)
    _end(list(rows.order_by("pk").select_for_update(of=("self",), no_key=True)), now=now)


def _end(rows: Sequence[models.SignIn], *, now: datetime.datetime) -> None:
    digests = [row.session_digest for row in rows]
    session_models.Session.objects.filter(session_key__in=digests).delete()
    for row in rows:
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        upcalls.call(event="customers.sign_in_ended", sign_in_id=row.pk, now=now)
