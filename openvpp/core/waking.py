"""Waking up when a row comes in: PostgreSQL's NOTIFY, sent by a trigger of the table that names the channel.

It only saves waiting. Who listens looks at the table by the clock as well: behind a pooler that hands connections on
between transactions nothing is heard.
"""

import psycopg
from django.db import connection
from psycopg import sql

from openvpp.core import db


@db.durable
def wait(*, channel: str, seconds: float) -> None:
    """Return when something was notified on the channel since the last call, or after `seconds`.

    :raises django.db.OperationalError: the database is gone.
    """
    with connection.cursor() as cursor:  # whatever went wrong with the connection shows here
        cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    raw: psycopg.Connection[object] = connection.connection
    with connection.wrap_database_errors:
        for _ in raw.notifies(timeout=seconds, stop_after=1):
            return
