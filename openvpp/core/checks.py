"""System checks: every dotted path of the tables leads somewhere, and the database keeps what it said it has."""

from collections.abc import Collection, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connections

from openvpp.core import upcalls


@checks.register
def check_dotted_paths(**_kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Report each upcall or job whose function cannot be imported."""
    paths = (
        [path for handlers in settings.UPCALLS.values() for path in handlers]
        + list(settings.JOBS.values())
        + settings.CLOSING_CHECKS
        + [settings.PAYMENT_BY_CALL]
    )
    found: list[checks.CheckMessage] = []
    for path in paths:
        try:
            upcalls.resolve(path=path)
        except ImportError as error:
            found.append(
                checks.Error(
                    f"{path} cannot be imported: {error}",
                    hint="Correct openvpp/settings/upcalls.py.",
                    id="openvpp.E001",
                )
            )
    return found


@checks.register(checks.Tags.database, deploy=True)
def check_durability(*, databases: Collection[str] | None = None, **_kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Report a database that says committed before its disk has it.

    What is relayed, signed or paid is written first and done then: a crash that forgets the writing would do it twice.
    """
    return [
        checks.Error(
            f"PostgreSQL runs with {name}={value} ({alias}).",
            hint=f"Set {name} to on in postgresql.conf: the journal must outlive a crash.",
            id="openvpp.E002",
        )
        for alias in databases or ()
        for name, value in _durability(alias)
        if value == "off"
    ]


def _durability(alias: str, /) -> Sequence[tuple[str, str]]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(_DURABILITY)])
        return [(str(name), str(setting)) for name, setting in cursor.fetchall()]


_DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")
