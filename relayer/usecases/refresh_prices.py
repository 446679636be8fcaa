"""Prices from their sources, kept only when they are fresh, agree, and are no leap. Staff hear of what is not."""

import datetime
import logging
from collections.abc import Mapping, Sequence

from django.conf import settings

from contracts import deployments
from contracts.bindings import words
from openvpp.core import db
from relayer import models, queries
from relayer.adapters import price_sources
from relayer.domain import prices
from relayer.usecases import tell_budgets

logger = logging.getLogger(__name__)

_FEED = ({"kind": "chainlink"},)


@db.durable
def refresh_prices(*, chain_id: int, now: datetime.datetime) -> int:
    """Ask the sources of every token and keep what is believed; return how many prices were taken.

    Sources that differ by more than PRICE_MAX_DEVIATION_PERCENT, or a leap of more than PRICE_MAX_LEAP_PERCENT, are
    held back: the price before is used until it is out of date.

    :raises errors.Unreachable: the chain does not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    known = {
        "native": (queries.NATIVE, deployment.feeds.native_usd),
        "ovpp": (words.checksummed(deployment.ovpp), deployment.feeds.ovpp_usd),
        "stablecoin": (words.checksummed(deployment.stablecoin), deployment.feeds.stablecoin_usd),
    }
    wanted: dict[str, tuple[Sequence[Mapping[str, str]], bytes | None]] = {
        token: (settings.PRICE_SOURCES.get(name, _FEED), feed) for name, (token, feed) in known.items()
    }
    for name in settings.PRICE_SOURCES.keys() - known.keys():
        wanted[words.checksummed(words.parse_address(name))] = (settings.PRICE_SOURCES[name], None)
    taken = 0
    for token, (sources, feed) in wanted.items():
        seen = price_sources.observe(sources=sources, feed=feed, now=now)
        taken += _keep(chain_id=chain_id, token=token, seen=seen, now=now)
    tell_budgets.tell_prices(chain_id=chain_id, now=now)
    return taken


@db.transaction
def _keep(*, chain_id: int, token: str, seen: list[prices.Observation], now: datetime.datetime) -> bool:
    row = models.TokenPrice.objects.select_for_update().filter(chain_id=chain_id, token=token).first()
    kept = None
    if row is not None:
        kept = prices.Observation(source=row.source, price_usd=row.price_usd, observed_at=row.observed_at)
    verdict = prices.judge(kept=kept, seen=seen, bounds=_bounds(), now=now)
    if verdict is None:
        logger.error("no source has a fresh price of %s", token)
        return False
    if isinstance(verdict, prices.Held):
        logger.error("price of %s is held: %s", token, verdict.reason)
        if row is not None:
            row.held_price_usd = verdict.observation.price_usd
            row.held_at, row.held_reason = row.held_at or now, verdict.reason[:200]
            row.save(update_fields=["held_price_usd", "held_at", "held_reason"])
        return False
    found = verdict.observation
    models.TokenPrice.objects.update_or_create(
        chain_id=chain_id,
        token=token,
        defaults={
            "price_usd": found.price_usd,
            "observed_at": found.observed_at,
            "source": found.source,
            "held_price_usd": None,
            "held_at": None,
            "held_reason": "",
        },
    )
    return True


def _bounds() -> prices.Bounds:
    return prices.Bounds(
        max_age=settings.PRICE_MAX_AGE,
        max_leap_percent=settings.PRICE_MAX_LEAP_PERCENT,
        max_deviation_percent=settings.PRICE_MAX_DEVIATION_PERCENT,
    )
