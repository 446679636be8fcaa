"""A migrated database of its own for a benchmark, on the PostgreSQL that the tests use."""

import contextlib
import os
import uuid
from collections.abc import Iterator

import django

from tests import services_fixture


@contextlib.contextmanager
def open_database() -> Iterator[None]:
    """Start PostgreSQL if there is none, set Django up, and give it an empty migrated database."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "openvpp.settings.test"
    services_fixture.start()
    django.setup()
    from django.db import connection  # noqa: PLC0415 - after Django is set up

    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = f"bench_{uuid.uuid4().hex[:12]}"
    connection.creation.create_test_db(verbosity=0)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
