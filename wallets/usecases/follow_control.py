"""Who controls an account is what the account says; the rows follow, whoever changed it.

A customer's key announces an exit, calls it off and carries it out on the chain without us. What they did is learned
here: the exit is shown and told, and once it is done our key is disabled, every grant and token ends, and the wallet is
marked as the customer's. A recovery that was called off or carried out there is closed. An owner of a custodial account
who is no key of ours is nobody's doing that we know of: our key signs nothing more.
"""

import datetime
import logging

from contracts.bindings import words
from custody import operations as custody
from openvpp.core import db
from wallets import models
from wallets.adapters import chain
from wallets.usecases import follow_exit, follow_recovery, rotate_owner_key

logger = logging.getLogger(__name__)


@db.durable
def follow(*, wallet: models.Wallet, now: datetime.datetime) -> str:
    """Read an account and let the rows say the same; return the owner of a custodial one whom nobody knows, or "".

    :raises errors.Unreachable: no node answered.
    """
    follow_recovery.follow(wallet=wallet, now=now)
    state = chain.read_control(account=wallet.address, chain_id=wallet.chain_id)
    if state is None:
        return ""
    with db.transaction():
        wallet = models.Wallet.objects.select_related("owner_key", "customer__user", "utility").get(pk=wallet.pk)
        follow_exit.learn(wallet=wallet, state=state, now=now)
        owner = words.checksummed(state.owner)
        if wallet.left_custody_at is not None or state.is_self_custodied or owner == wallet.owner_key.address:
            return ""
        if rotate_owner_key.learn(wallet=wallet, owner=owner, now=now):
            return ""
        logger.error("an account has an owner that nobody knows: account=%s owner=%s", wallet.address, owner)
        custody.disable_key(key_id=wallet.owner_key_id, now=now)
        return owner
