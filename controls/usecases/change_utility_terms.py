"""Changes of a utility's treasury, network fee and limits. `subject` is the utility's id."""

import datetime
from collections.abc import Mapping
from typing import Any

from django.core import exceptions

from contracts.bindings import words
from controls import models
from customers import models as customer_models
from openvpp.core import errors, upcalls

FIELDS = (
    "treasury_address",
    "default_fee_mode",
    "offers_fee_in_ovpp",
    "offers_fee_in_stablecoin",
    "absorbs_fee",
    "default_payment_limit_cents",
    "default_period_limit_cents",
    "default_grant_days",
    "max_payment_limit_cents",
    "max_period_limit_cents",
    "max_grant_days",
    "step_up_above_cents",
)


class UnableToChangeUtility(errors.UnableTo):
    """These are no terms that a utility can have."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    return [str(utility_id)]


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).pk)


def name(*, subject: str) -> str:
    return str(_get(subject).name)


def read(*, subject: str) -> dict[str, Any]:
    utility = _get(subject)
    return {field: getattr(utility, field) for field in FIELDS}


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse what no utility can have.

    :raises UnableToChangeUtility: with the first reason.
    """
    _sound(subject, after)


def apply(*, subject: str, after: Mapping[str, Any], change: models.ChangeRequest, now: datetime.datetime) -> None:
    """Write the terms. From here on the old treasury is paid nothing; customers' keys follow to a new one."""
    utility = _sound(subject, after)
    utility.save(update_fields=[*FIELDS])
    if utility.treasury_address != change.before["treasury_address"]:
        upcalls.call(event="controls.treasury_changed", change_id=str(change.pk), now=now)


def _sound(subject: str, after: Mapping[str, Any]) -> customer_models.Utility:
    utility = _get(subject)
    for field in FIELDS:
        setattr(utility, field, after[field])
    try:
        utility.treasury_address = words.checksummed(words.parse_address(str(after["treasury_address"])))
        utility.clean_fields(exclude=["treasury_address"])
        utility.validate_constraints()
    except (ValueError, TypeError) as error:
        raise UnableToChangeUtility(str(error), code="not_sound") from None
    except exceptions.ValidationError as error:
        raise UnableToChangeUtility("; ".join(error.messages), code="not_sound") from None
    return utility


def _get(subject: str) -> customer_models.Utility:
    found: customer_models.Utility | None = (
        customer_models.Utility.objects.filter(pk=subject).first() if subject.isdigit() else None
    )
    if found is None:
        raise errors.NotFound("There is no such utility.", code="not_found")
    return found
