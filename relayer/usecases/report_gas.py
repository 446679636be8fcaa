"""What gas budgets hold and how long they last, and what gas cost against the fees taken for it, day by day."""

import dataclasses
import datetime
import decimal
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection

from relayer import models, queries
from relayer.domain import sponsoring

LOOK_BACK = datetime.timedelta(days=7)
_WHOLE = 100
# Operations of others that were sponsored here and sent elsewhere have no row but their sponsorship's.
_DAYS = """
WITH costs AS (
    SELECT operation.settled_at AS at, operation.gas_cost_wei,
           CASE WHEN operation.state = 'succeeded' THEN coalesce(quote.fee_wei, 0) ELSE 0 END AS fee_wei
    FROM relayer_useroperation AS operation
    LEFT JOIN relayer_feequote AS quote ON quote.id = operation.quote_id
    WHERE operation.utility_id = ANY(%(utilities)s) AND operation.created_at >= %(since)s - interval '1 day'
      AND operation.settled_at >= %(since)s AND operation.gas_cost_wei IS NOT NULL
      AND length(operation.paymaster_and_data) > 0
    UNION ALL
    SELECT sponsorship.ended_at, sponsorship.cost_wei, coalesce(quote.fee_wei, 0)
    FROM relayer_sponsorship AS sponsorship
    LEFT JOIN relayer_feequote AS quote ON quote.sponsorship_id = sponsorship.id
    WHERE sponsorship.utility_id = ANY(%(utilities)s) AND sponsorship.made_at >= %(since)s - interval '1 day'
      AND sponsorship.ended_at >= %(since)s AND sponsorship.state = 'settled' AND NOT EXISTS (
        SELECT FROM relayer_useroperation AS operation WHERE operation.hash = sponsorship.user_operation_hash)
)
SELECT (at AT TIME ZONE 'UTC')::date AS day, count(*), sum(gas_cost_wei), sum(fee_wei) FROM costs GROUP BY day
"""
_SPENT = """
SELECT budget.policy_id, budget.wallet, sum(coalesce(sponsorship.cost_wei, sponsorship.reserved_wei)), count(*)
FROM relayer_sponsorship AS sponsorship, unnest(sponsorship.budgets) AS counted
JOIN relayer_gasbudget AS budget ON budget.id = counted
WHERE sponsorship.utility_id = ANY(%(utilities)s) AND sponsorship.made_at >= %(since)s
  AND sponsorship.state <> 'released'
GROUP BY budget.policy_id, budget.wallet
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A policy's budget of this period; of the wallet that used most where each has its own. None is no such limit.

    `settled_percent` and `reserved_percent` are of the nearer limit. `pace` counts wei, `pace_count` operations.
    """

    policy: models.SponsorshipPolicy
    window: sponsoring.Window
    row: models.GasBudget
    wallets: int
    left_wei: int | None
    left_count: int | None
    settled_percent: decimal.Decimal
    reserved_percent: decimal.Decimal
    pace: sponsoring.Pace
    pace_count: sponsoring.Pace

    @property
    def used_percent(self) -> decimal.Decimal:
        """Return how much is settled or reserved."""
        return self.settled_percent + self.reserved_percent

    @property
    def lasts_until(self) -> datetime.datetime | None:
        """Return when the first of its limits is reached at this pace; None if not before the period ends."""
        ends = [pace.lasts_until for pace in (self.pace, self.pace_count) if pace.lasts_until is not None]
        return min(ends, default=None)

    @property
    def is_used_up(self) -> bool:
        """Say whether nothing is left of it."""
        return 0 in (self.left_wei, self.left_count)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A UTC day: operations that became final, their gas, and what fees for them were worth when quoted, in wei."""

    day: datetime.date
    operations: int
    gas_wei: int
    fees_wei: int

    @property
    def result_wei(self) -> int:
        """Return what is left of the fees once the gas is paid."""
        return self.fees_wei - self.gas_wei


def read_budgets(*, utility_ids: Collection[int], now: datetime.datetime) -> list[Budget]:
    """Return the budgets of the policies in force, the fullest first."""
    policies = models.SponsorshipPolicy.objects.filter(utility__in=utility_ids, is_enabled=True, starts_at__lte=now)
    rows = {row.pk: row for row in policies.exclude(ends_at__lte=now).select_related("utility")}
    spent = _spent(utility_ids=utility_ids, since=now - LOOK_BACK)
    found = [
        _budget(row=rows[policy.id], policy=policy, spent=spent, now=now)
        for utility_id in sorted({row.utility_id for row in rows.values()})
        for policy in queries.get_policies(utility_id=utility_id)
        if policy.id in rows
    ]
    return sorted(found, key=lambda budget: budget.used_percent, reverse=True)


def read_days(*, utility_ids: Collection[int], days: int, now: datetime.datetime) -> list[Day]:
    """Return each of the last days, today's included, oldest first; days without operations are there too."""
    today = now.astimezone(datetime.UTC).date()
    first = today - datetime.timedelta(days=days - 1)
    since = datetime.datetime.combine(first, datetime.time(), tzinfo=datetime.UTC)
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"utilities": list(utility_ids), "since": since})
        known = {row[0]: row for row in cursor.fetchall()}
    found = []
    for number in range(days):
        day = first + datetime.timedelta(days=number)
        _, count, gas_wei, fees_wei = known.get(day, (day, 0, 0, 0))
        found.append(Day(day=day, operations=count, gas_wei=int(gas_wei), fees_wei=int(fees_wei)))
    return found


def _budget(
    *,
    row: models.SponsorshipPolicy,
    policy: sponsoring.Policy,
    spent: Mapping[Any, tuple[int, int]],
    now: datetime.datetime,
) -> Budget:
    window = policy.window(now=now)
    running = list(row.budgets.filter(starts_at=window.starts_at))
    fullest = max(running, key=_used_percent, default=None) or models.GasBudget(
        policy=row, wallet=sponsoring.EVERYBODY, limit_wei=row.limit_wei, limit_count=row.limit_count
    )
    settled, reserved = _percents(fullest)
    spent_wei, count = spent.get((row.pk, str(fullest.wallet)), (0, 0))
    over = min(LOOK_BACK, now - row.starts_at)
    left_wei = _left(fullest.limit_wei, fullest.reserved_wei, fullest.settled_wei)
    left_count = _left(fullest.limit_count, fullest.reserved_count, fullest.settled_count)
    return Budget(
        policy=row,
        window=window,
        row=fullest,
        wallets=len(running) if policy.is_each else 0,
        left_wei=left_wei,
        left_count=left_count,
        settled_percent=settled,
        reserved_percent=reserved,
        pace=_pace(spent_wei, over=over, left=left_wei, window=window, now=now),
        pace_count=_pace(count, over=over, left=left_count, window=window, now=now),
    )


def _pace(
    spent: int, *, over: datetime.timedelta, left: int | None, window: sponsoring.Window, now: datetime.datetime
) -> sponsoring.Pace:
    found = sponsoring.pace(spent=spent, over=over, left=left or 0, ends_at=window.ends_at, now=now)
    return found if left is not None else dataclasses.replace(found, lasts_until=None)


def _left(limit: int | None, *used: int) -> int | None:
    return None if limit is None else max(0, int(limit) - sum(map(int, used)))


def _percents(row: models.GasBudget) -> tuple[decimal.Decimal, decimal.Decimal]:
    """Return how much is settled and how much is reserved, of the limit that is nearer."""
    shares = [
        (_percent(row.settled_wei, row.limit_wei), _percent(row.reserved_wei, row.limit_wei)),
        (_percent(row.settled_count, row.limit_count), _percent(row.reserved_count, row.limit_count)),
    ]
    return max(shares, key=sum)


def _percent(part: int, limit: int | None) -> decimal.Decimal:
    if limit is None:
        return decimal.Decimal(0)
    return decimal.Decimal(int(part) * _WHOLE) / int(limit) if limit else decimal.Decimal(_WHOLE)


def _used_percent(row: models.GasBudget) -> decimal.Decimal:
    settled, reserved = _percents(row)
    return settled + reserved


def _spent(*, utility_ids: Collection[int], since: datetime.datetime) -> dict[Any, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_SPENT, {"utilities": list(utility_ids), "since": since})
        rows: Sequence[Any] = cursor.fetchall()
    return {
        (policy_id, sponsoring.checked_wallet("0x" + bytes(wallet).hex())): (int(spent_wei), int(count))
        for policy_id, wallet, spent_wei, count in rows
    }
