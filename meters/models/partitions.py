"""The monthly partitions of the table of meter days. PostgreSQL makes none by itself; the default takes the rest."""

import datetime
import re

from django.db import connection

_TABLE = "meters_meterday"
_NAME = re.compile(rf"^{_TABLE}_(\d{{4}})_(\d{{2}})$")


def months() -> list[datetime.date]:
    """Return the first days of the months that have a partition, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid "
            "WHERE inhparent = %s::regclass",
            [_TABLE],
        )
        found = [_NAME.match(name) for (name,) in cursor.fetchall()]
    return sorted(datetime.date(int(match[1]), int(match[2]), 1) for match in found if match)


def make(*, month: datetime.date) -> None:
    """Make the partition of a month (its first day) and move there what the default one holds of it."""
    after = (month.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
    name = _name(month)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(f"LOCK TABLE {_TABLE} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f"CREATE TABLE {name} (LIKE {_TABLE} INCLUDING CONSTRAINTS INCLUDING STORAGE)")
        cursor.execute(
            f"WITH moved AS (DELETE FROM {_TABLE}_default WHERE local_date >= %s AND local_date < %s RETURNING *) "  # noqa: S608 - names of our own tables
            f"INSERT INTO {name} SELECT * FROM moved",
            [month, after],
        )
        cursor.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (channel_id, local_date)")
        cursor.execute(f"ALTER TABLE {_TABLE} ATTACH PARTITION {name} FOR VALUES FROM ('{month}') TO ('{after}')")


def count(*, month: datetime.date) -> int:
    """Return how many days a month's partition holds."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {_name(month)}")  # noqa: S608 - a name of our own table
        return int(cursor.fetchone()[0])


def drop(*, month: datetime.date) -> None:
    """Drop a month's partition with all it holds."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {_name(month)}")


def _name(month: datetime.date) -> str:
    return f"{_TABLE}_{month:%Y_%m}"
