"""Staff hear of gas budgets that are nearly or wholly used up, of prices held back, and of prices out of date."""

import datetime
import logging

from django.conf import settings
from django.db import connection

from customers import models as customer_models
from openvpp.core import db, upcalls
from relayer import models

logger = logging.getLogger(__name__)

TOLD = "relayer.staff_told"
MARKS = (80, 100)
_MARK = """
UPDATE relayer_gasbudget AS budget SET told_percent = marks.mark
FROM unnest(%(marks)s::int[]) AS marks (mark), relayer_sponsorshippolicy AS policy
WHERE policy.id = budget.policy_id AND NOT policy.is_each AND budget.told_percent < marks.mark
  AND (budget.ends_at IS NULL OR budget.ends_at > %(now)s)
  AND marks.mark = (
    SELECT max(reached.mark) FROM unnest(%(marks)s::int[]) AS reached (mark)
    WHERE (budget.reserved_wei + budget.settled_wei) * 100 >= budget.limit_wei * reached.mark
       OR (budget.reserved_count + budget.settled_count) * 100 >= budget.limit_count * reached.mark
  )
RETURNING budget.id, policy.utility_id, policy.name, marks.mark, budget.ends_at
"""


@db.transaction
def tell_used_up(*, now: datetime.datetime) -> int:
    """Tell the staff of each utility which of its budgets passed a mark since they were last told; return how many.

    That one wallet has used up what each may use is no news.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"marks": list(MARKS), "now": now})
        rows = cursor.fetchall()
    for budget_id, utility_id, name, percent, ends_at in rows:
        is_full = percent >= MARKS[-1]
        until = "" if ends_at is None else f" It begins anew at {ends_at:%Y-%m-%d %H:%M} UTC."
        logger.error("gas budget %s (%s) is used to %s percent", budget_id, name, percent)
        _tell(
            utility_id=utility_id,
            key=f"gas_budget:{budget_id}:{percent}",
            title=f"Gas budget “{name}” is {'used up' if is_full else f'used to {percent} %'}",
            body=("Nothing more is paid from it." if is_full else "Look whether it will last.") + until,
            now=now,
        )
    return len(rows)


@db.transaction
def tell_prices(*, chain_id: int, now: datetime.datetime) -> int:
    """Tell the staff of every utility which prices are held back or out of date, once for each; return how many."""
    told = 0
    utilities = list(customer_models.Utility.objects.filter(chain_id=chain_id).values_list("pk", flat=True))
    for price in models.TokenPrice.objects.filter(chain_id=chain_id):
        is_stale = price.observed_at < now - settings.PRICE_MAX_AGE
        if not is_stale and price.held_at is None:
            continue
        told += 1
        since = price.observed_at if is_stale else price.held_at
        title = f"The price of {price.token} is {'out of date' if is_stale else 'held back'}"
        last = f"{price.price_usd.normalize():f} USD, said at {price.observed_at:%Y-%m-%d %H:%M} UTC"
        body = f"No fee is quoted in it; the last was {last}." if is_stale else f"{price.held_reason} Used is {last}."
        for utility_id in utilities:
            _tell(
                utility_id=utility_id,
                key=f"price:{price.pk}:{'stale' if is_stale else 'held'}:{since:%Y-%m-%dT%H:%M:%S}",
                title=title,
                body=body,
                now=now,
            )
    return told


def _tell(*, utility_id: int, key: str, title: str, body: str, now: datetime.datetime) -> None:
    upcalls.call(event=TOLD, utility_id=utility_id, key=key, title=title, body=body, now=now)
