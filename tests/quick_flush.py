"""Empty the database after a transactional test in milliseconds instead of most of a second.

Django truncates every table and then writes content types and permissions anew. With no foreign key or trigger
to obey (`session_replication_role`), deleting from a hundred mostly empty tables costs almost nothing, and what
migrations wrote stays.
"""

import pytest
from django import db, test

KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def flush() -> None:
    """Delete every row of the test database but those that migrations wrote."""
    with db.connection.cursor() as cursor:
        tables = [name for name in db.connection.introspection.table_names(cursor) if name not in KEPT]
        deletes = "".join(f'DELETE FROM "{name}";' for name in tables)
        cursor.execute(f"SET session_replication_role = replica; {deletes} SET session_replication_role = DEFAULT;")


@pytest.fixture(autouse=True, scope="session")
def _quick_flush() -> None:
    setattr(test.TransactionTestCase, "_fixture_teardown", lambda _self: flush())  # noqa: B010, it is no public name
