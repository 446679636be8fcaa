"""The statements by which gas budgets move. Each is one: what it reads and what it writes cannot come apart.

`reserve` adds to every budget of an operation or to none: the database refuses the whole statement when one of them
would pass its limit (`gas_budget_within_wei`, `gas_budget_within_count`). Rows are locked in one order everywhere.
"""

import dataclasses
import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django import db as django_db
from django.db import connection

from openvpp.core import errors
from relayer import models
from relayer.domain import sponsoring

_WITHIN = frozenset({"gas_budget_within_wei", "gas_budget_within_count"})

_RESERVE = """
WITH wanted AS (
    SELECT policy.id, policy.limit_wei, policy.limit_count, period.starts_at, period.ends_at, period.wallet
    FROM unnest(%(policies)s::uuid[], %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(wallets)s::bytea[])
        AS period (policy, starts_at, ends_at, wallet)
    JOIN relayer_sponsorshippolicy AS policy ON policy.id = period.policy
    ORDER BY policy.id, period.starts_at, period.wallet
    FOR SHARE OF policy
), counted AS (
    INSERT INTO relayer_gasbudget AS budget (
        policy_id, starts_at, ends_at, wallet, limit_wei, limit_count, reserved_wei, reserved_count, settled_wei,
        settled_count, told_percent
    )
    SELECT id, starts_at, ends_at, wallet, limit_wei, limit_count, %(wei)s, 1, 0, 0, 0 FROM wanted
    ON CONFLICT (policy_id, starts_at, wallet) DO UPDATE
        SET reserved_wei = budget.reserved_wei + %(wei)s, reserved_count = budget.reserved_count + 1
    RETURNING id
)
INSERT INTO relayer_sponsorship (
    id, utility_id, chain_id, payer, program, reason, api_key_id, sender, budgets, reserved_wei, state, valid_until,
    made_at
) VALUES (
    %(id)s, %(utility)s, %(chain)s, %(payer)s, %(program)s, %(reason)s, %(api_key)s, %(sender)s,
    (SELECT coalesce(array_agg(id), '{}') FROM counted), %(wei)s, 'reserved', %(valid_until)s, %(now)s
)
"""
_END = """
, sums AS (
    SELECT budget, sum(reserved_wei) AS reserved_wei, count(*) AS reserved_count, sum(cost_wei) AS cost_wei,
           count(*) FILTER (WHERE state = 'settled') AS settled_count
    FROM ended, unnest(budgets) AS budget GROUP BY budget
), locked AS (
    SELECT id FROM relayer_gasbudget WHERE id IN (SELECT budget FROM sums)
    ORDER BY policy_id, starts_at, wallet FOR UPDATE
), moved AS (
    UPDATE relayer_gasbudget AS budget SET
        reserved_wei = budget.reserved_wei - sums.reserved_wei,
        reserved_count = budget.reserved_count - sums.reserved_count,
        settled_wei = budget.settled_wei + sums.cost_wei,
        settled_count = budget.settled_count + sums.settled_count
    FROM sums JOIN locked ON locked.id = sums.budget WHERE budget.id = sums.budget
)
SELECT count(*) FROM ended
"""
_SETTLE = """
WITH landed AS (SELECT * FROM unnest(%(hashes)s::bytea[], %(costs)s::numeric[]) AS landed (hash, cost_wei)),
ended AS (
    UPDATE relayer_sponsorship AS sponsorship SET
        state = 'settled', cost_wei = least(landed.cost_wei, sponsorship.reserved_wei), ended_at = %(now)s
    FROM landed
    WHERE sponsorship.user_operation_hash = landed.hash AND sponsorship.chain_id = %(chain)s
      AND sponsorship.state = 'reserved'
    RETURNING sponsorship.budgets, sponsorship.reserved_wei, sponsorship.cost_wei, sponsorship.state
)"""
_RELEASE = """
WITH ended AS (
    UPDATE relayer_sponsorship SET state = 'released', ended_at = %(now)s
    WHERE state = 'reserved' AND chain_id = %(chain)s AND valid_until < %(before)s
    RETURNING budgets, reserved_wei, 0 AS cost_wei, state
)"""
_DROP = """
WITH ended AS (
    UPDATE relayer_sponsorship SET state = 'released', ended_at = %(now)s
    WHERE id = %(id)s AND state = 'reserved' AND user_operation_hash IS NULL
    RETURNING budgets, reserved_wei, 0 AS cost_wei, state
)"""


_SET_LIMITS = """
WITH locked AS (
    SELECT id FROM relayer_gasbudget WHERE policy_id = %(policy)s AND (ends_at IS NULL OR ends_at > %(now)s)
    ORDER BY policy_id, starts_at, wallet FOR UPDATE
)
UPDATE relayer_gasbudget AS budget SET
    limit_wei = CASE WHEN %(wei)s::numeric IS NULL THEN NULL
        ELSE greatest(%(wei)s::numeric, budget.reserved_wei + budget.settled_wei) END,
    limit_count = CASE WHEN %(count)s::int IS NULL THEN NULL
        ELSE greatest(%(count)s::int, budget.reserved_count + budget.settled_count) END,
    told_percent = 0
FROM locked WHERE locked.id = budget.id
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An operation that shall be paid for: whose, at most how much, and until when a block may carry it."""

    utility_id: int
    chain_id: int
    request: sponsoring.Request
    most_wei: int
    valid_until: datetime.datetime
    api_key_id: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """A budget without room for an operation. `left_*` is None where it has no such limit."""

    policy: sponsoring.Policy
    left_wei: int | None
    left_count: int | None
    resets_at: datetime.datetime | None


class UnableToReserve(errors.UnableTo):
    """A budget has no room left for the operation; nothing was reserved. `full` says which."""

    def __init__(self, full: Sequence[Full]) -> None:
        super().__init__("The gas budget is used up.", code="budget_used_up")
        self.full = tuple(full)


def reserve(
    *,
    claim: Claim,
    payer: models.Sponsorship.Payer,
    program: uuid.UUID | None,
    policies: Sequence[sponsoring.Policy],
    reason: str,
    now: datetime.datetime,
) -> uuid.UUID:
    """Reserve the most that an operation can cost from the budgets of all policies; return the sponsorship's id.

    :raises UnableToReserve: one of them has no room; nothing moved. Within a transaction that one is over.
    """
    id_ = uuid.uuid4()
    windows = [policy.window(now=now) for policy in policies]
    asked: dict[str, Any] = {
        "id": id_,
        "policies": [policy.id for policy in policies],
        "starts": [window.starts_at for window in windows],
        "ends": [window.ends_at for window in windows],
        "wallets": [_raw(policy.counted_for(claim.request)) for policy in policies],
        "wei": claim.most_wei,
        "utility": claim.utility_id,
        "chain": claim.chain_id,
        "payer": payer.value,
        "program": program,
        "reason": reason[:200],
        "api_key": claim.api_key_id,
        "sender": _raw(claim.request.wallet),
        "valid_until": claim.valid_until,
        "now": now,
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute(_RESERVE, asked)
    except django_db.IntegrityError as error:
        if _constraint_of(error) not in _WITHIN:
            raise
        full = [] if connection.in_atomic_block else _find_full(claim=claim, policies=policies, now=now)
        raise UnableToReserve(full) from None
    return id_


def settle(*, chain_id: int, costs_wei: Mapping[str, int], now: datetime.datetime) -> int:
    """Book what operations cost, by their hashes, in place of what was reserved for them; return how many were known.

    Each is settled once, whoever else settles at the same time, and for no more than was reserved: the EntryPoint takes
    limits times price before it runs an operation, and gives back what is left.
    """
    asked: dict[str, Any] = {
        "hashes": [_raw(hash_) for hash_ in costs_wei],
        "costs": list(costs_wei.values()),
        "chain": chain_id,
        "now": now,
    }
    return _count(_SETTLE, asked)


def release(*, chain_id: int, before: datetime.datetime, now: datetime.datetime) -> int:
    """Give back what is reserved for operations that no block from `before` on can carry; return how many.

    The caller has settled everything up to a final block of that time.
    """
    return _count(_RELEASE, {"chain": chain_id, "before": before, "now": now})


def drop(*, sponsorship_id: uuid.UUID, now: datetime.datetime) -> bool:
    """Give back what was reserved for an operation that nobody was given a signature for; say whether it was."""
    return _count(_DROP, {"id": sponsorship_id, "now": now}) == 1


def drop_unused(*, claim: Claim, intent: Mapping[str, Any], now: datetime.datetime) -> None:
    """Give back what quotes of the wallet's whose intent holds this have reserved, and nobody has used.

    So asking again and again takes no more of a budget than asking once.
    """
    rows = models.Sponsorship.objects.of_utility(claim.utility_id).filter(
        chain_id=claim.chain_id,
        state=models.Sponsorship.State.RESERVED,
        user_operation_hash__isnull=True,
        sender=claim.request.wallet,
        quote__used_at__isnull=True,
        quote__intent__contains=dict(intent),
    )
    for id_ in rows.values_list("pk", flat=True):
        drop(sponsorship_id=id_, now=now)


def bind(*, sponsorship_id: uuid.UUID, user_operation_hash: str, valid_until: datetime.datetime) -> bool:
    """Say for which operation a reservation is, before its signature is handed out; False when it was released."""
    rows = models.Sponsorship.objects.filter(pk=sponsorship_id, state=models.Sponsorship.State.RESERVED)
    return bool(rows.update(user_operation_hash=user_operation_hash, valid_until=valid_until))


def set_limits(*, policy_id: uuid.UUID, limit_wei: int | None, limit_count: int | None, now: datetime.datetime) -> None:
    """Give a policy's running budgets new limits, at least as high as what they hold; marks are told anew.

    The policy's own row is written before, in the same transaction: it keeps new reservations waiting meanwhile.
    """
    asked: dict[str, Any] = {"policy": policy_id, "wei": limit_wei, "count": limit_count, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_SET_LIMITS, asked)


def _find_full(*, claim: Claim, policies: Sequence[sponsoring.Policy], now: datetime.datetime) -> list[Full]:
    """Return what had no room a moment ago; at least one, the first, where room has come up since."""
    found = [_left(claim=claim, policy=policy, now=now) for policy in policies]
    return [full for full in found if _has_no_room(full, claim)] or found[:1]


def _has_no_room(full: Full, claim: Claim) -> bool:
    return (full.left_wei is not None and full.left_wei < claim.most_wei) or full.left_count == 0


def _left(*, claim: Claim, policy: sponsoring.Policy, now: datetime.datetime) -> Full:
    window = policy.window(now=now)
    row = models.SponsorshipPolicy.objects.get(pk=policy.id)
    budget = row.budgets.filter(starts_at=window.starts_at, wallet=policy.counted_for(claim.request)).first()
    used_wei = 0 if budget is None else int(budget.reserved_wei) + int(budget.settled_wei)
    used_count = 0 if budget is None else budget.reserved_count + budget.settled_count
    return Full(
        policy=policy,
        left_wei=None if row.limit_wei is None else max(0, int(row.limit_wei) - used_wei),
        left_count=None if row.limit_count is None else max(0, row.limit_count - used_count),
        resets_at=window.ends_at,
    )


def _count(statement: str, asked: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement + _END, dict(asked))
        (count,) = cursor.fetchone()
    return int(count)


def _constraint_of(error: django_db.IntegrityError) -> str | None:
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
