"""Telling people things: once, in order, and never lost."""

import dataclasses
import datetime
import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg.types import json as json_types

from customers import models as customer_models
from notifications import models
from notifications.adapters import hints
from openvpp.core import db, errors, sql

FEW = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What some people are told under a key."""

    user_ids: Collection[int]
    key: str
    title: str
    body: str
    data: Mapping[str, Any]


@db.transaction_required
def tell(
    *,
    user_ids: Collection[int],
    utility_id: int,
    kind: models.Notice.Kind,
    key: str,
    title: str,
    body: str,
    data: Mapping[str, Any],
    now: datetime.datetime,
    is_new: bool = False,
) -> None:
    """Write one notice for each person; a person already told under `key` is not told again. See `tell_each`.

    With `is_new` the key names what the open transaction made: nobody can have been told, and it is one statement.
    """
    if is_new and user_ids:
        given = {"kind": kind, "key": key, "title": title, "body": body, "data": json_types.Jsonb(dict(data))}
        sql.later(_TELL, given | {"people": sorted(set(user_ids)), "utility": utility_id, "now": now})
        db.run_after_commit(functools.partial(hints.send, user_ids=sorted(set(user_ids))))
        return
    message = Message(user_ids=user_ids, key=key, title=title, body=body, data=data)
    tell_each(messages=[message], utility_id=utility_id, kind=kind, now=now)


@db.transaction_required
def tell_each(
    *, messages: Sequence[Message], utility_id: int, kind: models.Notice.Kind, now: datetime.datetime
) -> None:
    """Write the notices of messages with different keys; a person already told under a key is not told again.

    Each person's `sequence` goes on by one without gaps: their counter stays locked until the open transaction ends.
    People are locked in the order of their ids. After the commit their sockets are nudged. The number of statements
    does not depend on how many messages there are.
    """
    wanted = sorted({user_id for message in messages for user_id in message.user_ids})
    if not wanted:
        return
    last = dict(sql.fetch(_LOCK, [wanted]))
    told = set(sql.fetch(_TOLD, [wanted, [message.key for message in messages]]))
    notices: list[models.Notice] = []
    for message in messages:
        for user_id in sorted(set(message.user_ids)):
            if (user_id, message.key) in told:
                continue
            last[user_id] += 1
            notices.append(
                models.Notice(
                    user_id=user_id,
                    utility_id=utility_id,
                    sequence=last[user_id],
                    kind=kind,
                    key=message.key,
                    title=message.title,
                    body=message.body,
                    data=dict(message.data),
                    created_at=now,
                )
            )
    if not notices:
        return
    fresh = sorted({notice.user_id for notice in notices})
    sql.execute(_COUNT, [fresh, [last[user_id] for user_id in fresh]])
    if len(notices) <= FEW:
        sql.insert(*notices)
    else:
        models.Notice.objects.bulk_create(notices)
    db.run_after_commit(functools.partial(hints.send, user_ids=fresh))


# Makes the counters that are missing and locks all of them, in the order of their people.
_LOCK = """
    INSERT INTO notifications_noticecounter AS counter (user_id, last_sequence)
    SELECT person, 0 FROM unnest(%s::bigint[]) AS person ORDER BY person
    ON CONFLICT (user_id) DO UPDATE SET last_sequence = counter.last_sequence
    RETURNING user_id, last_sequence
"""
_TELL = """
    WITH counted AS (
        INSERT INTO notifications_noticecounter AS counter (user_id, last_sequence)
        SELECT person, 1 FROM unnest(%(people)s::bigint[]) AS person ORDER BY person
        ON CONFLICT (user_id) DO UPDATE SET last_sequence = counter.last_sequence + 1
        RETURNING user_id, last_sequence
    )
    INSERT INTO notifications_notice (user_id, utility_id, sequence, kind, key, title, body, data, created_at)
    SELECT user_id, %(utility)s, last_sequence, %(kind)s, %(key)s, %(title)s, %(body)s, %(data)s, %(now)s FROM counted
"""
_TOLD = """
    SELECT user_id, key FROM notifications_notice WHERE user_id = ANY(%s::bigint[]) AND key = ANY(%s::text[])
"""
_COUNT = """
    UPDATE notifications_noticecounter AS counter SET last_sequence = given.last_sequence
    FROM unnest(%s::bigint[], %s::bigint[]) AS given (user_id, last_sequence) WHERE counter.user_id = given.user_id
"""


class UnableToMarkRead(errors.NotFound):
    """This person has no notice of that number."""


@db.transaction
def mark_read(*, user: customer_models.User, sequence: int, now: datetime.datetime) -> models.Notice:
    """Note when a person first read a notice.

    :raises UnableToMarkRead: there is no such notice of theirs.
    """
    notice: models.Notice | None = (
        models.Notice.objects.for_customer(user).filter(sequence=sequence).select_for_update().first()
    )
    if notice is None:
        raise UnableToMarkRead(f"There is no notice {sequence}.", code="not_found")
    if notice.read_at is None:
        notice.read_at = now
        notice.save(update_fields=["read_at"])
    return notice
