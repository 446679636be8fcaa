"""What to offer for gas: what the chain asks, up to a cap; above it we wait, and go on by ourselves when it falls."""

import logging

from django.conf import settings

from openvpp.core import db, tally
from relayer.adapters import chain
from relayer.domain import fees

logger = logging.getLogger(__name__)


class _Watch:
    """Whether gas was above the cap when it was last looked at, by this process."""

    is_above = False


@db.durable
def offer_fees() -> fees.GasPrices | None:
    """Return what to offer now, None while a block asks for more than CHAIN_MOST_FEE_WEI.

    :raises errors.Unreachable: the node does not answer.
    """
    asked = chain.gas_prices()
    prices = fees.capped(prices=asked, most_wei=settings.CHAIN_MOST_FEE_WEI)
    if (prices is None) != _Watch.is_above:
        _Watch.is_above = prices is None
        said = "above the cap: what waits goes on waiting" if prices is None else "below the cap again"
        logger.error("gas is %s (%s wei asked, %s allowed)", said, asked.expected_wei, settings.CHAIN_MOST_FEE_WEI)
    if prices is None:
        tally.note("waits_for_gas")
    return prices


@db.durable
def offer_for_replacement(*, old_max_fee_wei: int, old_tip_wei: int, most_times: int | None) -> fees.GasPrices | None:
    """Return what replaces a transaction that offered the old prices: both at least an eighth higher.

    None while that is above the cap, or more than `most_times` what the chain asks for now: a node that makes no
    blocks is not cured by money.

    :raises errors.Unreachable: the node does not answer.
    """
    asked = chain.gas_prices()
    prices = fees.replacing(prices=asked, old_max_fee_wei=old_max_fee_wei, old_tip_wei=old_tip_wei)
    if most_times is not None and prices.max_fee_per_gas_wei > most_times * asked.max_fee_per_gas_wei:
        return None
    if not settings.CHAIN_MOST_FEE_WEI or prices.max_fee_per_gas_wei <= settings.CHAIN_MOST_FEE_WEI:
        return prices
    least = fees.least_replacing(old_max_fee_wei=old_max_fee_wei, old_tip_wei=old_tip_wei)
    is_enough = asked.expected_wei <= least.max_fee_per_gas_wei <= settings.CHAIN_MOST_FEE_WEI
    return least if is_enough else None
