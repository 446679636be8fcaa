"""A rollup's data fee moves between acceptance and sending: what does not pay for its bytes any more waits.

It is sent when the fee falls, and fails when it expires before. Operations of our own apps go all the same: who pays
for their gas pays for their bytes, and the books take it from the receipt.
"""

from collections.abc import Sequence

from contracts.bindings import user_operations
from openvpp.core import db
from relayer import models
from relayer.adapters import data_fees
from relayer.domain import gas, refusals


@db.durable
def find_uncovered(
    *, operations: Sequence[models.UserOperation]
) -> list[tuple[models.UserOperation, refusals.Refusal]]:
    """Return the operations from outside that pay for less than their bytes cost now, and why they wait.

    :raises errors.Unreachable: the node does not answer.
    """
    if not data_fees.fee_wei(size_bytes=1):
        return []
    found = []
    for row in operations:
        if row.api_key_id is None:
            continue
        encoded = user_operations.encode_get_user_op_hash(operation=row.to_binding())[36:]
        needed = gas.pre_verification(encoded=encoded) + data_fees.gas(size_bytes=len(encoded))
        if row.pre_verification_gas < needed:
            reason = f"preVerificationGas is {row.pre_verification_gas}, the data fee asks for {needed} now."
            found.append((row, refusals.Refusal(index=None, meaning=refusals.Meaning.UNCLEAR, reason=reason)))
    return found
