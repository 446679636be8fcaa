"""The relayer's metrics: what stands in its tables now, and the counters that all its processes add to.

Each query is answered by a partial index or a small table, however many operations there are.
"""

import collections
import datetime
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django import db as django_db
from django.db.models import Count, Max, Min, Q
from prometheus_client import metrics_core, registry

from openvpp.core import clock, tally
from relayer import models
from relayer.usecases import count_up

logger = logging.getLogger(__name__)

_State = models.UserOperation.State
_Bundle = models.Bundle.State
_PREFIX = "openvpp_relayer"
_MOST_FOLDS = 10
_GAUGE, _COUNTER = metrics_core.GaugeMetricFamily, metrics_core.CounterMetricFamily
# Counter: its name on the wire, what it says, its label.
_COUNTERS = {
    "accepted": ("operations_accepted", "Operations taken into the pool, by who asked.", "by"),
    count_up.REFUSED: ("operations_refused", "Calls of the bundler that were refused, by code.", "code"),
    "ended": ("operations_ended", "Operations that are final.", "state"),
    "reorganised": ("operations_reorganised", "Operations whose block left the chain.", ""),
    "replacements": ("replacements", "Transactions that replaced another of their bundle.", ""),
    "node_errors": ("node_errors", "Questions that a node did not answer.", "node"),
    "waits_for_gas": ("waits_for_gas", "Bundles that were not made because gas was above the cap.", ""),
    "gas_cost_wei": ("gas_cost_wei", "What final operations cost, by who pays the fee.", "paid_by"),
    "fee_units": ("fee_units", "Fees that travelled with successful operations, in base units.", "token"),
}
_HISTOGRAMS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "inclusion_seconds": ("inclusion_seconds", "From the pool into a block.", count_up.INCLUSION_S),
    "bundle_operations": ("bundle_operations", "Operations in a final bundle.", count_up.BUNDLE_OPERATIONS),
    "bundle_gas": ("bundle_gas", "Gas that a final bundle used.", count_up.BUNDLE_GAS),
    "signer_seconds": ("signer_seconds", "One answer of the signer, seen by who asked.", tally.SECONDS),
}


def update_counters(*, now: datetime.datetime) -> None:
    """Count what has happened since the last scrape; a failure costs only freshness, and is logged."""
    try:
        count_up.write_down(now=now)
        for _ in range(_MOST_FOLDS):
            if not count_up.fold(now=now):
                break
    except django_db.Error:
        logger.exception("counters could not be brought up to date")


class Relayer(registry.Collector):
    """The pool, bundles, keys, balances and counters."""

    def collect(self) -> Iterator[metrics_core.Metric]:
        now = clock.get_now()
        yield from _pool(now)
        yield from _bundles(now)
        yield from _keys(now)
        yield from _balances(now)
        yield from _staff()
        yield from _counters()


def _pool(now: datetime.datetime) -> Iterator[metrics_core.Metric]:
    rows = models.UserOperation.objects.order_by()
    open_bundles = models.Bundle.objects.filter(state__in=[_Bundle.PENDING, _Bundle.MINED])
    queued = rows.filter(state=_State.QUEUED).aggregate(
        count=Count("pk"), aside=Count("pk", filter=Q(leased_by="", leased_until__gt=now)), oldest=Min("created_at")
    )
    counts = {
        _State.QUEUED: queued["count"],
        _State.BUNDLED: rows.filter(state=_State.BUNDLED).count(),
        _State.MINED: rows.filter(bundle__in=open_bundles, state=_State.MINED).count(),
    }
    family = _GAUGE("openvpp_user_operations", "User operations on their way.", labels=["state"])
    for state, count in counts.items():
        family.add_metric([state.value], count)
    yield family
    yield _one("operations_set_aside", "Queued operations that wait before they are tried again.", queued["aside"])
    yield _one("oldest_queued_seconds", "Age of the oldest queued operation.", _age(queued["oldest"], now))
    news = models.OperationNews.objects.aggregate(count=Count("pk"), oldest=Min("made_at"))
    yield _one("news_waiting", "Steps of operations that their takers have not heard of.", news["count"])
    yield _one("oldest_news_seconds", "Age of the oldest of these.", _age(news["oldest"], now))


def _bundles(now: datetime.datetime) -> Iterator[metrics_core.Metric]:
    rows = models.Bundle.objects.order_by().filter(state__in=[_Bundle.PENDING, _Bundle.MINED])
    counts = dict(rows.values_list("state").annotate(Count("pk")))
    family = _GAUGE(f"{_PREFIX}_bundles", "Bundles that are not final.", labels=["state"])
    for state in (_Bundle.PENDING, _Bundle.MINED):
        family.add_metric([state.value], counts.get(state.value, 0))
    yield family
    pending = rows.filter(state=_Bundle.PENDING)
    oldest = pending.aggregate(oldest=Min("created_at"))["oldest"]
    yield _one("oldest_pending_seconds", "Age of the oldest bundle without a block.", _age(oldest, now))
    most = pending.annotate(sent=Count("transactions")).aggregate(most=Max("sent"))["most"]
    yield _one("most_transactions", "Most transactions of a bundle without a block.", most or 0)
    passed = pending.filter(nonce_passed_at_block__isnull=False).count()
    yield _one("nonces_passed", "Bundles whose nonce somebody else seems to have used.", passed)


def _keys(now: datetime.datetime) -> Iterator[metrics_core.Metric]:
    family = _GAUGE(f"{_PREFIX}_keys", "Keys that send bundles.", labels=["state"])
    counts = collections.Counter(_state_of(key, now) for key in models.RelayerKey.objects.all())
    for state in ("held", "free", "draining", "disabled"):
        family.add_metric([state], counts[state])
    yield family


def _state_of(key: models.RelayerKey, now: datetime.datetime) -> str:
    if not key.is_enabled:
        return "disabled"
    if key.draining_since is not None:
        return "draining"
    return "held" if key.leased_by and key.leased_until is not None and key.leased_until > now else "free"


def _balances(now: datetime.datetime) -> Iterator[metrics_core.Metric]:
    rows = list(models.Balance.objects.all())
    family = _GAUGE(f"{_PREFIX}_balance_wei", "What the relayer lives on, as last read.", labels=["kind", "name"])
    left = _GAUGE(f"{_PREFIX}_budget_left_today_wei", "Left of the day's limit of a utility's budget.", labels=["name"])
    for row in rows:
        family.add_metric([row.kind, row.name], int(row.wei))
        if row.limit_wei is not None:
            left.add_metric([row.name], max(0, int(row.limit_wei) - int(row.spent_wei or 0)))
    yield family
    yield left
    oldest = min((row.read_at for row in rows), default=None)
    yield _one("balance_age_seconds", "Since the balances were read of the chain.", _age(oldest, now))


def _staff() -> Iterator[metrics_core.Metric]:
    paused = models.UtilityPause.objects.filter(resumed_at=None).count()
    yield _one("utilities_paused", "Utilities whose new operations are refused.", paused)


def _counters() -> Iterator[metrics_core.Metric]:
    known: dict[str, dict[str, float]] = collections.defaultdict(dict)
    for name, label, value in models.Counter.objects.values_list("name", "label", "value"):
        known[name][label] = float(value)
    for name, (shown, documentation, label) in _COUNTERS.items():
        family = _COUNTER(f"{_PREFIX}_{shown}", documentation, labels=[label] if label else None)
        for kind, count in sorted((known[name] or ({} if label else {"": 0.0})).items()):
            family.add_metric([kind] if label else [], count)
        yield family
    for name, (shown, documentation, bounds) in _HISTOGRAMS.items():
        yield _histogram(f"{_PREFIX}_{shown}", documentation, bounds, known[f"{name}_bucket"], known[f"{name}_sum"])


def _histogram(
    name: str,
    documentation: str,
    bounds: tuple[float, ...],
    classes: Mapping[str, float],
    sums: Mapping[str, float],
) -> metrics_core.Metric:
    buckets, count = [], 0.0
    for bound in (*bounds, None):
        count += classes.get("+Inf" if bound is None else f"{bound:g}", 0)
        buckets.append(("+Inf" if bound is None else str(float(bound)), count))
    family = metrics_core.HistogramMetricFamily(name, documentation)
    family.add_metric([], buckets=buckets, sum_value=sums.get("", 0.0))
    return family


def _one(name: str, documentation: str, value: float) -> metrics_core.Metric:
    return _GAUGE(f"{_PREFIX}_{name}", documentation, value=value)


def _age(instant: Any, now: datetime.datetime) -> float:
    return 0.0 if instant is None else max(0.0, (now - instant).total_seconds())
