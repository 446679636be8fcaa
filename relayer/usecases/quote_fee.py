"""What an operation costs its customer in a token: locked, with the margin that is in it."""

import dataclasses
import datetime
import logging
from typing import Any

from contracts.bindings import user_operations, words
from customers import models as customer_models
from openvpp.core import db, errors
from relayer import models, operations
from relayer.adapters import balances
from relayer.domain import codes, gas, wire
from relayer.usecases import estimate_operation

logger = logging.getLogger(__name__)


@db.durable
def quote(
    *,
    key: models.ApiKey,
    chain_id: int,
    received: wire.Received,
    token: object,
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return the fee of an operation in a token, locked for FEE_QUOTE_LIFETIME, and whom it is paid to.

    Without `token` the first is taken that the wallet holds enough of.

    :raises codes.RefusedCall: the utility takes no fees in this token, or the operation reverts.
    :raises errors.Unreachable: the node does not answer.
    :raises operations.UnableToQuoteFee: no fresh price is known.
    """
    found = estimate_operation.estimate(chain_id=chain_id, received=received)
    limits = with_transfer(
        gas.GasLimits(
            verification_gas_limit=int(found["verificationGasLimit"], 16),
            call_gas_limit=int(found["callGasLimit"], 16),
            pre_verification_gas=int(found["preVerificationGas"], 16),
            expected=0,
        )
    )
    if token is None:
        offered = _offer(key=key, chain_id=chain_id, sender=received.operation.sender, limits=limits, now=now)
        if offered is None:
            raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "The utility takes no fees in tokens.")
        return offered
    accepted = find_token(key=key, token=token)
    made = lock(
        key=key,
        chain_id=chain_id,
        sender=received.operation.sender,
        token=accepted,
        limits=limits,
        reason=f"{key.application} asks for a fee in {accepted.symbol}.",
        now=now,
    )
    return _written(made, token=accepted, key=key)


@db.durable
def offer(
    *,
    key: models.ApiKey,
    chain_id: int,
    operation: user_operations.UserOperation,
    limits: gas.GasLimits,
    now: datetime.datetime,
) -> dict[str, Any] | None:
    """Return the fee of an operation of these limits in the token that its wallet holds enough of.

    Where it holds enough of none, the first that the utility takes. None where none can be quoted now.
    """
    try:
        return _offer(key=key, chain_id=chain_id, sender=operation.sender, limits=with_transfer(limits), now=now)
    except (operations.UnableToQuoteFee, errors.Unreachable) as error:
        logger.warning("no fee is offered: %s", error)
        return None


def _offer(
    *, key: models.ApiKey, chain_id: int, sender: bytes, limits: gas.GasLimits, now: datetime.datetime
) -> dict[str, Any] | None:
    taken = _fee_tokens(key)
    held = balances.units_of(owner=sender, tokens=[str(token.address) for token in taken])
    first: dict[str, Any] | None = None
    for token, units in zip(taken, held, strict=True):
        made = lock(
            key=key,
            chain_id=chain_id,
            sender=sender,
            token=token,
            limits=limits,
            reason=f"Nobody else pays for it; the wallet holds {token.symbol}.",
            now=now,
        )
        offered = _written(made, token=token, key=key) | {"held": hex(units)}
        if units >= int(made.fee_units):
            return offered
        first = first or offered
    return first


def with_transfer(limits: gas.GasLimits, /) -> gas.GasLimits:
    """Return limits with room for the fee's own transfer, which the operation does not carry yet."""
    call = limits.call_gas_limit + gas.SECOND_TRANSFER
    before = limits.pre_verification_gas
    return dataclasses.replace(
        limits,
        call_gas_limit=call + call // 4,
        pre_verification_gas=before + before // 10,
        expected=limits.verification_gas_limit + call + before + limits.paymaster_post_op_gas_limit,
    )


def lock(
    *,
    key: models.ApiKey,
    chain_id: int,
    sender: bytes,
    token: customer_models.AcceptedToken,
    limits: gas.GasLimits,
    reason: str,
    now: datetime.datetime,
) -> models.FeeQuote:
    """Lock the fee of an application's operation in a token.

    :raises errors.Unreachable: the node does not answer.
    :raises operations.UnableToQuoteFee: no fresh price is known.
    """
    return operations.make_quote(
        utility_id=key.utility_id,
        chain_id=chain_id,
        sender=words.checksummed(sender),
        intent=intent_of(key),
        mode=models.FeeQuote.Mode.STABLECOIN if token.pays_bills else models.FeeQuote.Mode.OVPP,
        fee_token=token,
        limits=limits,
        reason=reason,
        now=now,
    )


def _written(made: models.FeeQuote, *, token: customer_models.AcceptedToken, key: models.ApiKey) -> dict[str, Any]:
    return {
        "quote": str(made.pk),
        "token": str(token.address),
        "symbol": token.symbol,
        "payee": str(key.utility.treasury_address),
        "units": hex(int(made.fee_units)),
        "marginPercent": made.margin_percent,
        "reason": made.reason,
        "maxFeePerGas": hex(int(made.max_fee_per_gas_wei)),
        "maxPriorityFeePerGas": hex(int(made.max_priority_fee_per_gas_wei)),
        "validUntil": hex(int(made.expires_at.timestamp())),
    }


def intent_of(key: models.ApiKey, /) -> dict[str, str]:
    """Return what a quote of an application's says that it is for."""
    return {"operation": "of an application", "api_key": key.identifier}


def _fee_tokens(key: models.ApiKey) -> list[customer_models.AcceptedToken]:
    """Return the tokens that the utility takes for fees, those that pay bills first."""
    return list(key.utility.tokens.filter(pays_fees=True).order_by("-pays_bills", "pk"))


def find_token(*, key: models.ApiKey, token: object) -> customer_models.AcceptedToken:
    """Return a token that the utility takes for fees.

    :raises codes.RefusedCall: it takes none of this address.
    """
    address = words.checksummed(wire.parse_address(token, "token"))
    accepted = next((each for each in _fee_tokens(key) if each.address == address), None)
    if accepted is None:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "The utility takes no fees in this token.")
    return accepted
