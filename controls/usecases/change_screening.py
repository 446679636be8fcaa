"""Changes of what a utility does while addresses cannot be checked. `subject` is the utility's id."""

import datetime
from collections.abc import Mapping
from typing import Any

from controls import models, queries
from controls.usecases import change_utility_terms
from openvpp.core import errors

WhenDown = models.ScreeningRule.WhenDown


class UnableToChangeScreening(errors.UnableTo):
    """This is nothing that can be done then."""

    status = 422


list_subjects = change_utility_terms.list_subjects
get_utility_id = change_utility_terms.get_utility_id
name = change_utility_terms.name


def read(*, subject: str) -> dict[str, Any]:
    return {"when_down": queries.get_when_down(utility_id=get_utility_id(subject=subject))}


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse anything but allow, hold and refuse.

    :raises UnableToChangeScreening: it is another.
    """
    if after["when_down"] not in WhenDown.values:
        raise UnableToChangeScreening(f"when_down is one of {', '.join(WhenDown.values)}.", code="not_sound")


def apply(*, subject: str, after: Mapping[str, Any], change: models.ChangeRequest, now: datetime.datetime) -> None:
    """Write what is done from now on."""
    models.ScreeningRule.objects.update_or_create(
        utility_id=get_utility_id(subject=subject), defaults={"when_down": after["when_down"]}
    )
