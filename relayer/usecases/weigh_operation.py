"""What an operation offers and names, weighed before any node is asked to simulate it."""

import datetime

from django.conf import settings

from contracts import deployments
from contracts.bindings import paymaster, user_operations
from openvpp.core import db
from relayer.adapters import chain, data_fees
from relayer.domain import codes, gas

MAX_GAS = 10_000_000
# How long before its end a sponsored operation is still taken.
_LEAST_LEFT = datetime.timedelta(seconds=20)
# What a sponsored operation may offer: above that, whoever bundles it earns at the utility's cost.
_MOST_TIMES_THE_PRICE = 10
# What clients that take a price from elsewhere offer on a chain where gas costs next to nothing.
_ALWAYS_FINE_WEI = 5 * 10**9
_MOST_TIMES_THE_GAS, _MORE_GAS = 2, 60_000
_LIFETIME = datetime.timedelta(days=1)
_UTILITY_AT, _UNTIL_AT = 52 + 1, 52 + 1 + 8 + 8 + 6


@db.durable
def check_limits(operation: user_operations.UserOperation, *, authorizations: int = 0) -> None:
    """Refuse gas limits that are too large or too small, and fees that no block takes now.

    `authorizations` counts those of EIP-7702 that its bundle has to carry.

    :raises codes.RefusedCall: what it offers is not enough, or it asks for too much.
    :raises errors.Unreachable: the node does not answer.
    """
    total = operation.verification_gas_limit + operation.call_gas_limit + operation.pre_verification_gas
    if total > MAX_GAS:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"The gas limits add up to more than {MAX_GAS}.")
    needed = _pre_verification(operation, authorizations=authorizations)
    if operation.pre_verification_gas < needed:
        raise codes.RefusedCall(
            codes.Code.BAD_PARAMETERS, f"preVerificationGas is {operation.pre_verification_gas}, needed are {needed}."
        )
    if operation.max_priority_fee_per_gas > operation.max_fee_per_gas:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "maxPriorityFeePerGas is above maxFeePerGas.")
    prices = chain.recent_gas_prices()
    if operation.max_priority_fee_per_gas < settings.CHAIN_LEAST_TIP_WEI:
        raise codes.RefusedCall(
            codes.Code.BAD_PARAMETERS, f"maxPriorityFeePerGas must be at least {settings.CHAIN_LEAST_TIP_WEI}."
        )
    least = prices.base_fee_wei + settings.CHAIN_LEAST_TIP_WEI
    if operation.max_fee_per_gas < least:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"maxFeePerGas must be at least {least} now.")


@db.durable
def check_generosity(operation: user_operations.UserOperation, *, authorizations: int = 0) -> None:
    """Refuse to pay for what offers its bundler far more than it costs; with our leave, anybody may bundle it.

    :raises codes.RefusedCall: its preVerificationGas or its fees are beyond what they can be needed for.
    :raises errors.Unreachable: the node does not answer.
    """
    needed = _pre_verification(operation, authorizations=authorizations)
    most_gas = _MOST_TIMES_THE_GAS * needed + _MORE_GAS
    if operation.pre_verification_gas > most_gas:
        raise codes.RefusedCall(
            codes.Code.REFUSED_BY_PAYMASTER, f"preVerificationGas is above {most_gas}, which is more than it needs."
        )
    most_wei = max(_ALWAYS_FINE_WEI, _MOST_TIMES_THE_PRICE * chain.recent_gas_prices().max_fee_per_gas_wei)
    if operation.max_fee_per_gas > most_wei:
        raise codes.RefusedCall(
            codes.Code.REFUSED_BY_PAYMASTER,
            f"maxFeePerGas is above {most_wei}: {_MOST_TIMES_THE_PRICE} times the price.",
        )


def _pre_verification(operation: user_operations.UserOperation, *, authorizations: int) -> int:
    encoded = user_operations.encode_get_user_op_hash(operation=operation)[36:]
    return gas.pre_verification(encoded=encoded, authorizations=authorizations) + data_fees.gas(size_bytes=len(encoded))


def check_paymaster(
    *,
    utility_id: int,
    operation: user_operations.UserOperation,
    deployment: deployments.Deployment,
    now: datetime.datetime,
) -> datetime.datetime:
    """Return until when the operation may wait; refuse one that names a paymaster of ours without leave.

    :raises codes.RefusedCall: the paymaster is not there for it, or not any more.
    """
    data = operation.paymaster_and_data
    if data[:20] == deployment.relay_paymaster:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "This paymaster pays for the relayer's own alone.")
    if data[:20] != deployment.paymaster:
        return now + _LIFETIME
    if len(data) < _UNTIL_AT + 6:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "The paymaster's data is cut short.")
    if int.from_bytes(data[_UTILITY_AT : _UTILITY_AT + 8]) != utility_id:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "Another utility pays for this operation.")
    until = datetime.datetime.fromtimestamp(int.from_bytes(data[_UNTIL_AT : _UNTIL_AT + 6]), tz=datetime.UTC)
    if until < now + _LEAST_LEFT:
        raise codes.RefusedCall(codes.Code.OUT_OF_TIME_RANGE, "The sponsorship is over, or nearly.")
    if until > now + datetime.timedelta(seconds=2 * paymaster.WINDOW_SECONDS):
        raise codes.RefusedCall(codes.Code.OUT_OF_TIME_RANGE, "The sponsorship lasts too long.")
    return until
