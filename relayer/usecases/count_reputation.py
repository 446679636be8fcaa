"""Reputation of paymasters and factories that are not ours (ERC-7562, "Reputation scoring").

What was seen and what was included halves every day. Who lets far more come in than gets into blocks is throttled, then
banned. Ours need none: the one is known code, the other pays for what its sponsor signed.
"""

import datetime
from collections.abc import Collection, Mapping
from typing import Any

from django.db import connection

from contracts import deployments
from contracts.bindings import user_operations, words
from openvpp.core import db
from relayer import models
from relayer.domain import codes

_SLACK_THROTTLED, _SLACK_BANNED = 10, 50
_LEAST_INCLUDED_OF = 10
_MAX_WAITING_THROTTLED = 4
_FADED = "({column} * power(0.5, extract(epoch FROM %(now)s - known.counted_at) / 86400))::integer"
_SEEN = f"""
INSERT INTO relayer_reputation AS known (chain_id, entity, seen, included, counted_at)
SELECT %(chain_id)s, each, 1, 0, %(now)s FROM unnest(%(entities)s::bytea[]) AS each ORDER BY each
ON CONFLICT (chain_id, entity) DO UPDATE SET
    seen = {_FADED.format(column="known.seen")} + 1, included = {_FADED.format(column="known.included")},
    counted_at = %(now)s
"""  # noqa: S608 - no value stands in it
_INCLUDED = """
UPDATE relayer_reputation AS known SET included = included + named.count
FROM unnest(%(entities)s::bytea[], %(counts)s::integer[]) AS named (entity, count)
WHERE known.chain_id = %(chain_id)s AND known.entity = named.entity
"""


@db.durable
def check(*, operation: user_operations.UserOperation, deployment: deployments.Deployment) -> list[str]:
    """Return the entities of an operation that have a reputation.

    :raises codes.RefusedCall: one is banned, or is throttled and has enough waiting.
    """
    named = strangers(named={operation.init_code[:20], operation.paymaster_and_data[:20]}, deployment=deployment)
    if not named:
        return []
    for row in models.Reputation.objects.filter(chain_id=deployment.chain_id, entity__in=named):
        most = row.seen // _LEAST_INCLUDED_OF
        if most > row.included + _SLACK_BANNED:
            raise codes.RefusedCall(codes.Code.THROTTLED, f"{row.entity} is banned for now.")
        if most > row.included + _SLACK_THROTTLED and row.seen - row.included >= _MAX_WAITING_THROTTLED:
            raise codes.RefusedCall(codes.Code.THROTTLED, f"{row.entity} is throttled.")
    return named


def strangers(*, named: Collection[bytes], deployment: deployments.Deployment) -> list[str]:
    """Return those of the paymasters and factories that are somebody's, and not ours."""
    known = {b"", deployment.account_factory, deployment.paymaster, deployment.relay_paymaster}
    return sorted(words.checksummed(each) for each in named if each not in known and any(each[2:]))


@db.durable
def count_seen(*, chain_id: int, entities: Collection[str], now: datetime.datetime) -> None:
    """Count operations that came in."""
    if entities:
        with connection.cursor() as cursor:
            cursor.execute(
                _SEEN, {"chain_id": chain_id, "entities": [_raw(each) for each in sorted(entities)], "now": now}
            )


@db.transaction_required
def count_included(*, chain_id: int, counts: Mapping[str, int]) -> None:
    """Count operations that stand in a block, by entity."""
    if counts:
        names = sorted(counts)
        asked: dict[str, Any] = {
            "chain_id": chain_id,
            "entities": [_raw(each) for each in names],
            "counts": [counts[name] for name in names],
        }
        with connection.cursor() as cursor:
            cursor.execute(_INCLUDED, asked)


def _raw(address: str) -> bytes:
    return words.parse_address(address)
