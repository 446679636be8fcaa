"""Counters that only grow, whichever process counted and however often it was started anew.

Most are read off the history of operations, which nothing is lost from: each step is counted once, half a minute after
it was written, so that no transaction under way is passed over. What leaves no row (refusals, errors of nodes, the
signer's time) is counted in memory (`openvpp.core.tally`) and written down every few seconds.
"""

import collections
import datetime
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from django import db as django_db
from django.db import connection

from openvpp.core import db, tally
from relayer import models

logger = logging.getLogger(__name__)

INCLUSION_S = (0.5, 1, 1.5, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300, 600)
BUNDLE_OPERATIONS = (1, 2, 5, 10, 20, 50, 100, 200)
BUNDLE_GAS = (100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 15_000_000, 30_000_000)
REFUSED = "refused"
_RECENT = frozenset({REFUSED, "node_errors"})
_KEPT = datetime.timedelta(days=1)
_LAG = datetime.timedelta(seconds=30)
MOST_AT_ONCE = 20_000
_FOLDED = "folded_to"
_WRITE_EVERY_SECONDS = 2.0

_ADD = """
WITH given AS (
    SELECT * FROM unnest(%(names)s::text[], %(labels)s::text[], %(counts)s::numeric[]) AS each (name, label, count)
    ORDER BY name, label
), recent AS (
    INSERT INTO relayer_recentcount AS known (name, label, minute, count)
    SELECT name, label, %(minute)s, count::integer FROM given WHERE name = ANY(%(recent)s)
    ON CONFLICT (name, minute, label) DO UPDATE SET count = known.count + excluded.count
)
INSERT INTO relayer_counter AS known (name, label, value) SELECT name, label, count FROM given
ON CONFLICT (name, label) DO UPDATE SET value = known.value + excluded.value
"""
_STEPS = """
WITH page AS (
    SELECT id, made_at FROM relayer_useroperationtransition WHERE id > %(after)s ORDER BY id LIMIT %(most)s
), last AS (
    SELECT made_at FROM page ORDER BY id DESC LIMIT 1
), cut AS (
    SELECT coalesce(
        min(id) FILTER (WHERE page.made_at > %(until)s) - 1,
        CASE WHEN count(*) = %(most)s THEN max(id) FILTER (WHERE page.made_at < last.made_at) END,
        max(id)
    ) AS id FROM page, last
)
SELECT (SELECT id FROM cut), step.state, step.detail LIKE 'Block %% left the chain.', operation.api_key_id IS NOT NULL,
       step.made_at - operation.created_at, operation.bundle_id, operation.gas_cost_wei,
       coalesce(quote.mode, 'own'), coalesce(encode(quote.fee_token, 'hex'), ''), quote.fee_units
FROM relayer_useroperationtransition AS step
JOIN relayer_useroperation AS operation ON operation.hash = step.user_operation_id
LEFT JOIN relayer_feequote AS quote ON quote.id = operation.quote_id
WHERE step.id > %(after)s AND step.id <= (SELECT id FROM cut)
"""
_BUNDLES = """
SELECT bundle.id, coalesce(bundle.gas_used, 0), count(transaction.hash)
FROM relayer_bundle AS bundle LEFT JOIN relayer_bundletransaction AS transaction ON transaction.bundle_id = bundle.id
WHERE bundle.id = ANY(%(ids)s) GROUP BY bundle.id
"""

_written_at = 0.0
_writing = threading.Lock()


def write_down(*, now: datetime.datetime) -> None:
    """Add what this process has counted to the counters, every two seconds at most; cheap to call at each turn.

    A database that is away is logged: nobody's work fails for a count.
    """
    global _written_at  # noqa: PLW0603 - one clock for the process, as the tally is one
    if time.monotonic() < _written_at + _WRITE_EVERY_SECONDS or not _writing.acquire(blocking=False):
        return
    try:
        _written_at = time.monotonic()
        taken = tally.take()
        try:
            _add(taken, now=now)
        except django_db.Error as error:
            tally.give_back(taken)
            logger.warning("counts could not be written down; they are kept: %s", error)
    finally:
        _writing.release()


@db.transaction
def fold(*, now: datetime.datetime) -> int:
    """Count the steps of operations since the last time, MOST_AT_ONCE at most; return how many.

    One at a time: whoever finds somebody else at it counts nothing. What ended together is counted together, so that
    a bundle is one bundle.
    """
    models.Counter.objects.get_or_create(name=_FOLDED, label="")
    mark = models.Counter.objects.select_for_update(skip_locked=True).filter(name=_FOLDED).first()
    if mark is None:
        return 0
    asked: dict[str, Any] = {"after": int(mark.value), "until": now - _LAG, "most": MOST_AT_ONCE}
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, asked)
        steps = cursor.fetchall()
        if not steps:
            return 0
        members = collections.Counter(step[5] for step in steps if step[1] in {"succeeded", "failed"} and step[5])
        cursor.execute(_BUNDLES, {"ids": sorted(members)})
        bundles = cursor.fetchall()
    _add(_of_steps(steps) | _of_bundles(bundles, members), now=now)
    mark.value = steps[0][0]
    mark.save(update_fields=["value"])
    return len(steps)


@db.durable
def forget_old(*, now: datetime.datetime) -> None:
    """Drop the counts by minute after a day."""
    models.RecentCount.objects.filter(minute__lt=now - _KEPT).delete()


def _add(counts: Mapping[tuple[str, str], float], *, now: datetime.datetime) -> None:
    if not counts:
        return
    asked: dict[str, Any] = {
        "names": [name for name, _ in counts],
        "labels": [label for _, label in counts],
        "counts": [str(count) for count in counts.values()],
        "minute": now.replace(second=0, microsecond=0),
        "recent": sorted(_RECENT),
    }
    with connection.cursor() as cursor:
        cursor.execute(_ADD, asked)


def _of_steps(steps: list[Any]) -> dict[tuple[str, str], float]:
    counts: collections.defaultdict[tuple[str, str], float] = collections.defaultdict(float)
    inclusions: collections.Counter[float] = collections.Counter()
    for _, state, is_reorganised, is_application, age, _, cost_wei, mode, token, fee_units in steps:
        if state == "queued" and not age:
            counts["accepted", "application" if is_application else "own"] += 1
        elif state == "mined":
            inclusions[max(age.total_seconds(), 0.0)] += 1
        elif state in {"succeeded", "failed"}:
            counts["ended", state] += 1
            if cost_wei is not None:
                counts["gas_cost_wei", mode] += int(cost_wei)
            if state == "succeeded" and fee_units:
                counts["fee_units", f"0x{token}"] += int(fee_units)
        counts["reorganised", ""] += bool(is_reorganised)
    return dict(counts) | tally.of_histogram("inclusion_seconds", values=inclusions, bounds=INCLUSION_S)


def _of_bundles(bundles: list[Any], members: Mapping[int, int]) -> dict[tuple[str, str], float]:
    sizes: collections.Counter[float] = collections.Counter(members.values())
    gas: collections.Counter[float] = collections.Counter(used for _, used, _ in bundles)
    found = tally.of_histogram("bundle_operations", values=sizes, bounds=BUNDLE_OPERATIONS)
    found |= tally.of_histogram("bundle_gas", values=gas, bounds=BUNDLE_GAS)
    found["replacements", ""] = sum(max(transactions - 1, 0) for _, _, transactions in bundles)
    return found
