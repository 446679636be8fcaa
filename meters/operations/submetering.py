"""Who stands behind whose meter: put there, and taken away."""

import datetime

from django.db.models import Q

from customers import models as customers_models
from meters import models
from meters.domain import submetering
from openvpp.core import db, errors


class UnableToAttachSubmeter(errors.UnableTo):
    """The two points do not belong together, or one would stand behind two at once or behind itself."""


@db.transaction_required
def attach_submeter(
    *,
    parent_id: int,
    child_id: int,
    kind: str,
    starts_on: datetime.date,
    ends_on: datetime.date | None = None,
    replacing_id: int | None = None,
) -> models.Submeter:
    """Say that a child's energy passes through a parent's meter on the local days `[starts_on, ends_on)`.

    `replacing_id` is the row that this one takes the place of. Bills that were issued stay as they are.

    :raises UnableToAttachSubmeter: see its name; then nothing changed.
    """
    points = customers_models.ServicePoint.objects.select_related("premise").in_bulk([parent_id, child_id])
    if len(points) != 2 or points[parent_id].premise.utility_id != points[child_id].premise.utility_id:  # noqa: PLR2004
        raise UnableToAttachSubmeter("Parent and child are two service points of one utility.", code="not_two_points")
    if ends_on is not None and ends_on <= starts_on:
        raise UnableToAttachSubmeter("It ends after it starts.", code="not_forward")
    # One at a time in a utility: two at once could each see no cycle and make one together.
    utility_id = points[parent_id].premise.utility_id
    customers_models.Utility.objects.select_for_update(no_key=True).get(pk=utility_id)
    others = models.Submeter.objects.of_utility(utility_id).exclude(pk=replacing_id)
    at_once = others.filter(Q(ends_on__isnull=True) | Q(ends_on__gt=starts_on))
    if ends_on is not None:
        at_once = at_once.filter(starts_on__lt=ends_on)
    taken = at_once.filter(child_id=child_id).select_related("parent").first()
    if taken is not None:
        raise UnableToAttachSubmeter(f"It stands behind {taken.parent} on some of these days.", code="behind_another")
    parents: dict[int, list[int]] = {}
    for child, parent in at_once.values_list("child_id", "parent_id"):
        parents.setdefault(child, []).append(parent)
    if submetering.is_cycle(parents=parents, parent=parent_id, child=child_id):
        raise UnableToAttachSubmeter("It would stand behind itself.", code="cycle")
    row = models.Submeter(pk=replacing_id, parent_id=parent_id, child_id=child_id, kind=kind)
    row.starts_on, row.ends_on = starts_on, ends_on
    row.save()
    return row
