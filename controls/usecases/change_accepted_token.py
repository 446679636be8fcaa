"""Changes of the terms of a token that a utility takes. `subject` is the token's id."""

import datetime
from collections.abc import Mapping
from typing import Any

from controls import models
from customers import models as customer_models
from openvpp.core import errors


class UnableToChangeToken(errors.UnableTo):
    """These are no terms that a token can have."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    rows = customer_models.AcceptedToken.objects.of_utility(utility_id).order_by("pk")
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def get_utility_id(*, subject: str) -> int:
    return int(_get(subject).utility_id)


def name(*, subject: str) -> str:
    return str(_get(subject).symbol)


def read(*, subject: str) -> dict[str, Any]:
    token = _get(subject)
    return {
        "pays_bills": token.pays_bills,
        "pays_fees": token.pays_fees,
        "fee_cap_units": str(token.fee_cap_units),
    }


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse what no token can have.

    :raises UnableToChangeToken: with the first reason.
    """
    cap = after["fee_cap_units"]
    if not isinstance(cap, str) or not (cap.isascii() and cap.isdigit()) or int(cap) >= 2**256:
        raise UnableToChangeToken("fee_cap_units is base units in decimal digits.", code="not_sound")
    if not all(isinstance(after[field], bool) for field in ("pays_bills", "pays_fees")):
        raise UnableToChangeToken("pays_bills and pays_fees are true or false.", code="not_sound")


def apply(*, subject: str, after: Mapping[str, Any], change: models.ChangeRequest, now: datetime.datetime) -> None:
    """Write the terms."""
    token = _get(subject)
    token.pays_bills, token.pays_fees = after["pays_bills"], after["pays_fees"]
    token.fee_cap_units = int(after["fee_cap_units"])
    token.save(update_fields=["pays_bills", "pays_fees", "fee_cap_units"])


def _get(subject: str) -> customer_models.AcceptedToken:
    found: customer_models.AcceptedToken | None = (
        customer_models.AcceptedToken.objects.filter(pk=subject).first() if subject.isdigit() else None
    )
    if found is None:
        raise errors.NotFound("There is no such token.", code="not_found")
    return found
