"""ERC-7677: a signed leave for an operation of somebody's, paid by the utility or in a token within the operation.

A fee in a token travels with the operation: a batch of an account of ours must carry the token's own `transfer` of the
quoted units to the utility's treasury. All calls of a batch succeed or none, so the sponsor signs what it has read.
"""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from contracts import deployments
from contracts.bindings import accounts, paymaster, tokens, user_operations, words
from customers import models as customer_models
from openvpp.core import db
from relayer import models, operations, queries
from relayer.domain import codes, gas, wire
from relayer.usecases import estimate_operation, use_quota

LIFETIME = datetime.timedelta(minutes=10)
_LIMITS = gas.GasLimits(verification_gas_limit=0, call_gas_limit=0, pre_verification_gas=0, expected=0)
_MAX_PAYMASTER_GAS = 300_000
_TRANSFER_BYTES = 4 + 2 * 32
_DUMMY_SIGNATURE = b"\x01" * 64 + b"\x1b"


def stub(*, key: models.ApiKey, chain_id: int, entry_point: object, now: datetime.datetime) -> dict[str, Any]:
    """Return paymaster data of the right length, with a signature that is none, for estimates.

    :raises codes.RefusedCall: another EntryPoint.
    """
    deployment = deployments.load(chain_id=chain_id)
    queries.check_entry_point(entry_point, deployment=deployment)
    data = paymaster.encode_paymaster_data(
        sponsorship=paymaster.Sponsorship(
            paymaster=deployment.paymaster,
            mode=paymaster.FeeMode.UTILITY,
            utility_id=key.utility_id,
            valid_after=int(now.timestamp()) - 1,
            valid_until=int((now + LIFETIME).timestamp()),
            fee_units=0,
            verification_gas_limit=_LIMITS.paymaster_verification_gas_limit,
            post_op_gas_limit=_LIMITS.paymaster_post_op_gas_limit,
        ),
        sponsor_signature=_DUMMY_SIGNATURE,
    )
    return {
        "sponsor": {"name": key.utility.name},
        "paymaster": words.checksummed(deployment.paymaster),
        "paymasterData": "0x" + data[52:].hex(),
        "paymasterVerificationGasLimit": hex(_LIMITS.paymaster_verification_gas_limit),
        "paymasterPostOpGasLimit": hex(_LIMITS.paymaster_post_op_gas_limit),
        "isFinal": False,
    }


@db.durable
def sponsor(
    *,
    key: models.ApiKey,
    chain_id: int,
    received: wire.Received,
    entry_point: object,
    context: object,
    now: datetime.datetime,
) -> dict[str, str]:
    """Return the paymaster data that the sponsor signed for exactly this operation.

    `context` is null, for the utility to pay, or `{"quote": id}` for a fee in a token.

    :raises codes.RefusedCall: the operation does not carry its fee, costs more than quoted, or the sponsor refuses.
    :raises errors.Unreachable: signer or node do not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    queries.check_entry_point(entry_point, deployment=deployment)
    operation = received.operation
    if received.delegate is not None and operation.init_code:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "A delegation is not sponsored together with a call.")
    limits = _limits_of(operation)
    quote_id = _quote_id(context)
    if quote_id is not None:
        _take_quote(key=key, quote_id=quote_id, operation=operation, limits=limits, now=now)
    use_quota.use(key=key, quota=models.ApiKeyUsage.Quota.SPONSORED, count=1, now=now)
    try:
        sponsored = operations.sponsor(
            operation=operation,
            utility_id=key.utility_id,
            chain_id=chain_id,
            limits=limits,
            quote=None,
            expires_at=now + LIFETIME,
        )
    except operations.UnableToSponsor as error:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, error.detail) from None
    return {
        "paymaster": words.checksummed(deployment.paymaster),
        "paymasterData": "0x" + sponsored.paymaster_and_data[52:].hex(),
        "paymasterVerificationGasLimit": hex(limits.paymaster_verification_gas_limit),
        "paymasterPostOpGasLimit": hex(limits.paymaster_post_op_gas_limit),
    }


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

    :raises codes.RefusedCall: the utility takes no fees in this token, or the operation reverts.
    :raises errors.Unreachable: the node does not answer.
    :raises operations.UnableToQuoteFee: no fresh price is known.
    """
    accepted = key.utility.tokens.filter(
        address=words.checksummed(wire.parse_address(token, "token")), pays_fees=True
    ).first()
    if accepted is None:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "The utility takes no fees in this token.")
    found = estimate_operation.estimate(chain_id=chain_id, received=received)
    verification, call, before = (
        int(found[name], 16) for name in ("verificationGasLimit", "callGasLimit", "preVerificationGas")
    )
    call += gas.SECOND_TRANSFER  # the fee's own transfer, which the operation does not carry yet
    limits = gas.GasLimits(
        verification_gas_limit=verification,
        call_gas_limit=call + call // 4,
        pre_verification_gas=before + before // 10,
        expected=verification + call + before + _LIMITS.paymaster_post_op_gas_limit,
    )
    made = operations.make_quote(
        utility_id=key.utility_id,
        chain_id=chain_id,
        sender=words.checksummed(received.operation.sender),
        intent={"operation": "of an application", "api_key": key.identifier},
        mode=_mode_of(accepted),
        fee_token=accepted,
        limits=limits,
        reason=f"{key.application} asks for a fee in {accepted.symbol}.",
        now=now,
    )
    return {
        "quote": str(made.pk),
        "token": str(accepted.address),
        "payee": str(key.utility.treasury_address),
        "units": hex(int(made.fee_units)),
        "maxFeePerGas": hex(int(made.max_fee_per_gas_wei)),
        "maxPriorityFeePerGas": hex(int(made.max_priority_fee_per_gas_wei)),
        "validUntil": hex(int(made.expires_at.timestamp())),
    }


def _mode_of(token: customer_models.AcceptedToken) -> str:
    return models.FeeQuote.Mode.STABLECOIN if token.pays_bills else models.FeeQuote.Mode.OVPP


def _quote_id(context: object) -> uuid.UUID | None:
    if context is None or context == {}:
        return None
    if isinstance(context, Mapping) and set(context) == {"quote"}:
        try:
            return uuid.UUID(str(context["quote"]))
        except ValueError:
            pass
    raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, 'The context is null or {"quote": id of a fee quote}.')


def _limits_of(operation: user_operations.UserOperation) -> gas.GasLimits:
    given = operation.paymaster_and_data
    verification, post_op = int.from_bytes(given[20:36]), int.from_bytes(given[36:52])
    if max(verification, post_op) > _MAX_PAYMASTER_GAS:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"The paymaster's gas is above {_MAX_PAYMASTER_GAS}.")
    return gas.GasLimits(
        verification_gas_limit=operation.verification_gas_limit,
        call_gas_limit=operation.call_gas_limit,
        pre_verification_gas=operation.pre_verification_gas,
        paymaster_verification_gas_limit=verification or _LIMITS.paymaster_verification_gas_limit,
        paymaster_post_op_gas_limit=post_op or _LIMITS.paymaster_post_op_gas_limit,
        expected=0,
    )


def _take_quote(
    *,
    key: models.ApiKey,
    quote_id: uuid.UUID,
    operation: user_operations.UserOperation,
    limits: gas.GasLimits,
    now: datetime.datetime,
) -> None:
    rows = models.FeeQuote.objects.of_utility(key.utility_id).filter(pk=quote_id)
    found = rows.filter(sender=words.checksummed(operation.sender), intent__api_key=key.identifier).first()
    if found is None:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "There is no such fee quote for this sender.")
    if limits.total * operation.max_fee_per_gas > int(found.gas_cost_wei):
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "The operation may cost more than was quoted.")
    if not _carries_fee(operation=operation, found=found, payee=str(key.utility.treasury_address)):
        raise codes.RefusedCall(
            codes.Code.REFUSED_BY_PAYMASTER,
            "The operation's batch does not carry the quoted fee.",
            data={
                "token": str(found.fee_token),
                "payee": str(key.utility.treasury_address),
                "units": hex(int(found.fee_units)),
            },
        )
    if not rows.filter(used_at__isnull=True, expires_at__gt=now).update(used_at=now):
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "The fee quote is used or over. Ask for another.")


def _carries_fee(*, operation: user_operations.UserOperation, found: models.FeeQuote, payee: str) -> bool:
    try:
        calls = accounts.decode_execute_batch(call_data=operation.call_data)
    except accounts.UnableToReadCall:
        return False
    token, to = words.parse_address(str(found.fee_token)), words.parse_address(payee)
    head = tokens.encode_transfer(to=to, amount_units=0)[:36]
    return any(
        call.to == token
        and len(call.data) == _TRANSFER_BYTES
        and call.data[:36] == head
        and words.read_uint(call.data, 36) >= int(found.fee_units)
        for call in calls
    )
