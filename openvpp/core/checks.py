"""System checks: every dotted path in the tables of upcalls and jobs leads somewhere."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks

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
