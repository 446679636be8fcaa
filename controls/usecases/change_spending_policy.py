"""New versions of a spending policy.

`subject` is `utility:<id>`, `customer:<id>` or `program:<utility id>:<label of its treasury wallet>`.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from controls import models
from controls.domain import conditions, spending
from customers import models as customer_models
from openvpp.core import errors

Scope = models.SpendingPolicy.Scope


class UnableToChangePolicy(errors.UnableTo):
    """This is no policy."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    """Return the utility and whoever has a policy already; others are named by hand."""
    rows = models.SpendingPolicy.objects.of_utility(utility_id).exclude(scope=Scope.UTILITY)
    places = sorted(set(rows.values_list("scope", "customer_id", "program")), key=str)
    own = [f"program:{utility_id}:{label}" if label else f"{scope}:{customer}" for scope, customer, label in places]
    return [f"utility:{utility_id}", *own]


def get_utility_id(*, subject: str) -> int:
    return int(_place(subject)["utility_id"])


def name(*, subject: str) -> str:
    return subject


def read(*, subject: str) -> dict[str, Any]:
    place = _place(subject)
    row = models.SpendingPolicy.objects.filter(**place).order_by("-version").first()
    if row is not None:
        return {"version": row.version, "document": row.document}
    document = spending.DEFAULT.to_json() if place["scope"] == Scope.UTILITY else {"tag": spending.TAG, "rules": []}
    return {"version": 0, "document": document}


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse what is no policy.

    :raises UnableToChangePolicy: with the first reason.
    """
    if after["version"] != read(subject=subject)["version"]:
        raise UnableToChangePolicy("The version is given by the next one, not asked for.", code="not_sound")
    try:
        spending.Policy.parse(after["document"])
    except conditions.UnableToReadPolicy as error:
        raise UnableToChangePolicy(str(error), code="not_sound") from None


def apply(*, subject: str, after: Mapping[str, Any], change: models.ChangeRequest, now: datetime.datetime) -> None:
    """Write the next version, in the one form that a policy has."""
    models.SpendingPolicy.objects.create(
        **_place(subject),
        version=after["version"] + 1,
        document=spending.Policy.parse(after["document"]).to_json(),
        change=change,
        made_at=now,
    )


def _place(subject: str) -> dict[str, Any]:
    scope, _, rest = subject.partition(":")
    owner, _, label = rest.partition(":")
    if owner.isdigit():
        if scope == Scope.UTILITY and not label and customer_models.Utility.objects.filter(pk=owner).exists():
            return {"scope": scope, "utility_id": int(owner), "customer_id": None, "program": ""}
        if scope == Scope.PROGRAM and label and customer_models.Utility.objects.filter(pk=owner).exists():
            return {"scope": scope, "utility_id": int(owner), "customer_id": None, "program": label}
        customer = customer_models.Customer.objects.filter(pk=owner).first()
        if scope == Scope.CUSTOMER and not label and customer is not None:
            return {"scope": scope, "utility_id": customer.utility_id, "customer_id": customer.pk, "program": ""}
    raise errors.NotFound("There is no such utility, program or customer.", code="not_found")
