"""What `manage.py check --deploy --database default` says of a database."""

import pytest
from django import db as django_db
from django.core import management
from django.core.management import base

from openvpp.core import checks

pytestmark = pytest.mark.django_db


def told() -> str:
    return " ".join(f"{found.id} {found.msg}" for found in checks.check_durability(databases=["default"]))


def test_a_database_that_may_forget_what_it_committed_is_an_error() -> None:
    with django_db.connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        assert "openvpp.E002 PostgreSQL runs with synchronous_commit=off (default)." in told()
        cursor.execute("SET LOCAL synchronous_commit = on")
        assert "synchronous_commit" not in told()


def test_it_is_asked_when_a_deployment_is_checked_and_not_else() -> None:
    with django_db.connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    with pytest.raises(base.SystemCheckError, match="synchronous_commit=off"):
        management.call_command("check", deploy=True, databases=["default"])
    management.call_command("check", databases=["default"])
    assert checks.check_durability() == []
