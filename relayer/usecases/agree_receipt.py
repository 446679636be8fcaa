"""What is written of a bundle becomes final only if a quorum of nodes says the same of it.

A block's hash is agreed on before, but the receipt in it was read from one node alone, which may have made it up. Where
one node's word is enough nothing more is asked.
"""

import logging

from openvpp.core import db, errors
from relayer import models
from relayer.adapters import chain
from relayer.domain import receipts
from relayer.usecases import set_aside

logger = logging.getLogger(__name__)


class UnableToAgree(errors.UnableTo):
    """The nodes of a quorum do not say the same of a bundle."""


@db.durable
def find_agreed(*, bundle: models.Bundle) -> receipts.BundleReceipt | None:
    """Return the receipt that a quorum has, None where one node is enough.

    :raises UnableToAgree: they differ, or one does not have it.
    :raises errors.Unreachable: too few answer.
    """
    said = chain.receipt_of_each(transaction_hash=str(bundle.transaction_hash))
    entry_point = set_aside.entry_point(chain_id=bundle.chain_id)
    found = {None if receipt is None else receipts.read(receipt=receipt, entry_point=entry_point) for receipt in said}
    if not found:
        return None
    (agreed, *others) = found
    if others or agreed is None:
        raise UnableToAgree(f"Nodes differ on transaction {bundle.transaction_hash}.", code="receipts_differ")
    return agreed
