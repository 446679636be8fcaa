"""Nobody's gas is paid from or to a listed address, nor out of a wallet that is frozen."""

import datetime
import secrets

from contracts.bindings import user_operations, words
from controls import operations as controls
from controls import queries as controls_queries
from openvpp.core import db
from relayer.domain import codes, parties


@db.durable
def check(*, utility_id: int, chain_id: int, operation: user_operations.UserOperation, now: datetime.datetime) -> None:
    """Refuse to sponsor an operation by whom or for whom nobody may act; the check is a row that stays.

    :raises codes.RefusedCall: the sender is frozen, or somebody is listed or cannot be checked; `data` has the code.
    """
    sender = words.checksummed(operation.sender)
    freeze = controls_queries.get_freeze(account=sender, chain_id=chain_id)
    if freeze is not None:
        raise _refused(f"The wallet is frozen: {freeze.reason}", code="wallet_frozen")
    try:
        controls.screen(
            utility_id=utility_id,
            direction="payout",
            reference=f"sponsored:{sender}:{secrets.token_hex(8)}",
            addresses=[sender, *(words.checksummed(each) for each in parties.of_call_data(operation.call_data))],
            now=now,
        )
    except (controls.UnableToPass, controls.UnableToCheckYet) as refusal:
        raise _refused(refusal.detail, code=refusal.code) from None


def _refused(message: str, *, code: str) -> codes.RefusedCall:
    return codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, message, data={"reason": code})
