"""The tree of meters behind meters, as one person may see it."""

import dataclasses
import datetime

from django.db.models import Q

from customers import models as customers_models
from meters import models
from meters.queries import points

MOST_NODES = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A service point on a local day, what stands behind it, and whether the person may see its usage."""

    point: customers_models.ServicePoint
    kind: str
    starts_on: datetime.date | None
    ends_on: datetime.date | None
    is_visible: bool
    children: tuple["Node", ...]


def get_submeter_tree(*, user: customers_models.User, service_point_id: int, day: datetime.date) -> Node:
    """Return a point that a person may know of, and all that stands behind it on a local day.

    Whoever may know of a parent may know what stands behind it, since it leaves their bill; a child's usage is still
    only its own customer's and staff's. What a point itself stands behind is not told.

    :raises errors.NotFound: there is no such point, or it is not theirs.
    """
    root = points.get_visible_service_point(user=user, service_point_id=service_point_id)
    behind: dict[int, list[models.Submeter]] = {}
    wanted, found = {root.pk}, {root.pk}
    while wanted and len(found) <= MOST_NODES:
        rows = (
            models.Submeter.objects.filter(parent_id__in=wanted, starts_on__lte=day)
            .filter(Q(ends_on__isnull=True) | Q(ends_on__gt=day))
            .select_related("child__premise__utility")
            .order_by("child__number", "pk")
        )
        wanted = set()
        for row in rows:
            behind.setdefault(row.parent_id, []).append(row)
            wanted.add(row.child_id)
        found |= wanted
    visible = set(
        customers_models.ServicePoint.objects.visible_to(user).filter(pk__in=found).values_list("pk", flat=True)
    )
    return _node(point=root, link=None, behind=behind, visible=visible)


def _node(
    *,
    point: customers_models.ServicePoint,
    link: models.Submeter | None,
    behind: dict[int, list[models.Submeter]],
    visible: set[int],
) -> Node:
    return Node(
        point=point,
        kind=link.kind if link else "",
        starts_on=link.starts_on if link else None,
        ends_on=link.ends_on if link else None,
        is_visible=point.pk in visible,
        children=tuple(
            _node(point=row.child, link=row, behind=behind, visible=visible) for row in behind.get(point.pk, ())
        ),
    )
