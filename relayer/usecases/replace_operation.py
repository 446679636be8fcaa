"""A waiting operation gives way to a dearer one of the same sender and nonce, as transactions do in a node's pool.

Only what an application of the same utility sent gives way, and only while no bundle and no relay holds it: once it may
have been seen by others, whether it lands is the chain's to say.
"""

import datetime

from contracts.bindings import user_operations
from openvpp.core import db, money
from relayer import models
from relayer.domain import codes
from relayer.usecases import change_state

LEAST_RISE_PERCENT = 10
_Row = models.UserOperation


@db.durable
def check(*, hash_: bytes, operation: user_operations.UserOperation, utility_id: int) -> None:
    """Say why the operation `hash_` in the pool does not give way to this one.

    :raises codes.RefusedCall: it is not one that may, or the fees are not enough, with the least that are.
    """
    rows = _Row.objects.of_utility(utility_id)
    row = rows.filter(hash=_text(hash_), state=_Row.State.QUEUED, broadcast_at__isnull=True, api_key__isnull=False)
    found = row.values_list("max_fee_per_gas_wei", "max_priority_fee_per_gas_wei").first()
    if found is None:
        raise _refused("Another operation with this nonce is in the pool.")
    least_fee, least_tip = (_raised(int(each)) for each in found)
    if operation.max_fee_per_gas < least_fee or operation.max_priority_fee_per_gas < least_tip:
        raise codes.RefusedCall(
            codes.Code.BAD_PARAMETERS,
            f"Another operation with this nonce is in the pool; to replace it both fees must be {LEAST_RISE_PERCENT} % "
            "higher.",
            data={"maxFeePerGas": hex(least_fee), "maxPriorityFeePerGas": hex(least_tip)},
        )


@db.transaction_required
def replace(*, hash_: bytes, by: bytes, now: datetime.datetime) -> None:
    """Fail the operation `hash_`, which was checked to give way, because `by` takes its place.

    :raises codes.RefusedCall: a relay has taken it up since; nothing has changed.
    """
    row = _Row.objects.select_for_update().get(hash=_text(hash_))
    is_held = bool(row.leased_by) and (row.leased_until is None or row.leased_until > now)
    if row.state != _Row.State.QUEUED or row.broadcast_at is not None or is_held:
        raise _refused("The operation with this nonce is being sent just now.")
    if not change_state.fail(operation=row, reason=f"Replaced by {_text(by)}.", now=now):
        raise _refused("The operation with this nonce is being sent just now.")


def _raised(wei: int) -> int:
    return money.ceil_div(wei * (100 + LEAST_RISE_PERCENT), 100)


def _text(hash_: bytes) -> str:
    return "0x" + hash_.hex()


def _refused(message: str) -> codes.RefusedCall:
    return codes.RefusedCall(codes.Code.BAD_PARAMETERS, message)
