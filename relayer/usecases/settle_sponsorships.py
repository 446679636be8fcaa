"""What was reserved for operations is settled by what the chain says they cost, or given back when none can land.

The chain is searched in final blocks only, for every operation that our paymasters paid for, whoever sent it; then what
ended before the last of these blocks can never land any more. In this order, nothing is given back that was spent.
"""

import datetime
import logging

from django.conf import settings

from contracts import deployments
from openvpp.core import db
from relayer import models
from relayer.adapters import budgets, chain
from relayer.usecases import tell_budgets

logger = logging.getLogger(__name__)

MOST_BLOCKS = 2_000
# How far back the first search goes: further than any sponsorship lasts.
FIRST_BLOCKS = 20_000


@db.durable
def settle_sponsorships(*, chain_id: int, now: datetime.datetime) -> int:
    """Search the next final blocks; return how many sponsorships ended.

    Safe to run by several at once, and to be killed anywhere: blocks are searched again until their costs are booked.

    :raises errors.Unreachable: the node does not answer.
    """
    final = chain.head().number - settings.CHAIN_CONFIRMATIONS
    cursor = models.SponsorshipCursor.objects.filter(pk=chain_id).first()
    before = max(0, final - FIRST_BLOCKS) if cursor is None else cursor.block_number
    ended = 0
    while before < final:
        until = min(final, before + MOST_BLOCKS)
        ended += _search(chain_id=chain_id, before=before, until=until, now=now)
        before = until
    tell_budgets.tell_used_up(now=now)
    return ended


def _search(*, chain_id: int, before: int, until: int, now: datetime.datetime) -> int:
    """Book the blocks `(before, until]`."""
    deployment = deployments.load(chain_id=chain_id)
    found = chain.sponsored(
        entry_point=deployment.entry_point,
        paymasters=(deployment.paymaster, deployment.relay_paymaster),
        from_block=before + 1,
        to_block=until,
    )
    block_at = datetime.datetime.fromtimestamp(found.until, tz=datetime.UTC)
    with db.transaction():
        if not _move_cursor(chain_id=chain_id, before=before, until=until, block_at=block_at):
            return 0
        settled = budgets.settle(chain_id=chain_id, costs_wei=found.costs_wei, now=now) if found.costs_wei else 0
        released = budgets.release(chain_id=chain_id, before=block_at, now=now)
    if settled or released:
        logger.info("sponsorships: %s settled, %s released, block %s", settled, released, until)
    return settled + released


def _move_cursor(*, chain_id: int, before: int, until: int, block_at: datetime.datetime) -> bool:
    """Say whether these blocks are still to be booked; whoever comes second has nothing to do."""
    models.SponsorshipCursor.objects.bulk_create(
        [models.SponsorshipCursor(chain_id=chain_id, block_number=before, block_at=block_at)],
        ignore_conflicts=True,
    )
    rows = models.SponsorshipCursor.objects.filter(pk=chain_id, block_number=before)
    return bool(rows.update(block_number=until, block_at=block_at))
