"""Prices from the chain's feeds (Chainlink's shape), kept only when they are fresh and no leap."""

import datetime
import decimal
import logging

from django.conf import settings

from contracts import deployments
from contracts.bindings import tokens, words
from openvpp.core import db, errors
from relayer import models, queries
from relayer.adapters import chain

logger = logging.getLogger(__name__)


@db.durable
def refresh_prices(*, chain_id: int, now: datetime.datetime) -> int:
    """Read every feed of a chain and keep what it says; return how many prices were taken.

    A price that leaps by more than PRICE_MAX_LEAP_PERCENT is not taken until the kept one is out of date; then nothing
    is quoted from the old one any more and the new one has had time to be put right.

    :raises errors.Unreachable: the chain does not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    feeds = {
        queries.NATIVE: deployment.feeds.native_usd,
        words.checksummed(deployment.ovpp): deployment.feeds.ovpp_usd,
        words.checksummed(deployment.stablecoin): deployment.feeds.stablecoin_usd,
    }
    taken = 0
    for token, feed in feeds.items():
        try:
            price, decimals = chain.feed_price(feed=feed)
        except errors.Refused as refusal:
            logger.warning("feed 0x%s has no price: %s", feed.hex(), refusal.reason)
            continue
        taken += _keep(chain_id=chain_id, token=token, feed=feed, price=price, decimals=decimals, now=now)
    return taken


@db.transaction
def _keep(
    *, chain_id: int, token: str, feed: bytes, price: tokens.Price, decimals: int, now: datetime.datetime
) -> bool:
    value = decimal.Decimal(price.answer).scaleb(-decimals)
    observed_at = min(datetime.datetime.fromtimestamp(price.updated_at, tz=datetime.UTC), now)
    kept = models.TokenPrice.objects.select_for_update().filter(chain_id=chain_id, token=token).first()
    if kept is not None and kept.observed_at >= now - settings.PRICE_MAX_AGE and _leaps(kept.price_usd, value):
        logger.error("feed 0x%s leaps from %s to %s; not taken", feed.hex(), kept.price_usd, value)
        return False
    models.TokenPrice.objects.update_or_create(
        chain_id=chain_id,
        token=token,
        defaults={"price_usd": value, "observed_at": observed_at, "source": "feed " + words.checksummed(feed)},
    )
    return True


def _leaps(old: decimal.Decimal, new: decimal.Decimal) -> bool:
    return abs(new - old) * 100 > old * settings.PRICE_MAX_LEAP_PERCENT
