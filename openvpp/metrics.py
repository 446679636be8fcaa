"""`/metrics` in OpenMetrics: what waits, what failed, and the process itself.

Answered to this machine, or to whoever carries `METRICS_TOKEN`; anybody else is told there is nothing here.
"""

import hmac
import ipaddress
from collections.abc import Callable, Iterator

import prometheus_client
from django import http
from django.conf import settings
from django.db.models import Count, Q
from django.views.decorators import cache
from django.views.decorators import http as http_decorators
from prometheus_client import metrics_core, registry
from prometheus_client.openmetrics import exposition

from controls import models as controls_models
from openvpp import relayer_metrics
from openvpp.core import clock
from openvpp.core import models as core_models
from wallets import models as wallet_models

FORWARDING_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


class Waiting(registry.Collector):
    """Counts of rows that should not stay: read at each scrape, all by partial indexes."""

    def collect(self) -> Iterator[metrics_core.Metric]:
        jobs = core_models.Job.objects.aggregate(
            due=Count("pk", filter=Q(finished_at=None, failed_at=None, run_at__lte=clock.get_now())),
            failed=Count("pk", filter=Q(failed_at__isnull=False)),
        )
        family = metrics_core.GaugeMetricFamily("openvpp_jobs", "Jobs that wait or gave up.", labels=["state"])
        for state, count in jobs.items():
            family.add_metric([state], count)
        yield family
        frozen = metrics_core.GaugeMetricFamily("openvpp_frozen_wallets", "Wallets that nothing leaves: look at each.")
        frozen.add_metric([], controls_models.Freeze.objects.filter(lifted_at__isnull=True).count())
        yield frozen
        yield _operations()


def _operations() -> metrics_core.Metric:
    family = metrics_core.GaugeMetricFamily("openvpp_operations", "Operations on their way.", labels=["state"])
    rows = wallet_models.Operation.objects.order_by()
    counts = dict(rows.exclude(state="succeeded").values_list("state").annotate(Count("pk")))
    for state in wallet_models.Operation.State.values:
        if state != "succeeded":
            family.add_metric([state], counts.get(state, 0))
    return family


@http_decorators.require_safe
@cache.never_cache
def metrics(request: http.HttpRequest) -> http.HttpResponse:
    """Answer a scrape."""
    if not (_is_this_machine(request) or _has_token(request)):
        raise http.Http404
    relayer_metrics.update_counters(now=clock.get_now())
    waiting = prometheus_client.CollectorRegistry()
    waiting.register(Waiting())
    waiting.register(relayer_metrics.Relayer())
    write: Callable[[registry.Collector], bytes] = exposition.generate_latest
    process = write(prometheus_client.REGISTRY).removesuffix(b"# EOF\n")
    return http.HttpResponse(process + write(waiting), content_type=exposition.CONTENT_TYPE_LATEST)


def _is_this_machine(request: http.HttpRequest) -> bool:
    if any(header in request.headers for header in FORWARDING_HEADERS):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_token(request: http.HttpRequest) -> bool:
    token: str = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())
