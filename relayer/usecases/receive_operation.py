"""A signed operation comes in from outside: read, weighed, validated, and put into the pool in one statement."""

import datetime
import json
from typing import Any

from django.conf import settings
from django.db import connection

from contracts import deployments
from contracts.bindings import paymaster, user_operations
from openvpp.core import db
from relayer import models, queries
from relayer.adapters import chain
from relayer.domain import codes, gas, wire
from relayer.usecases import count_reputation, use_quota, validate_operation

MAX_GAS = 10_000_000
MAX_OF_SENDER = 4
# How long before its end a sponsored operation is still taken.
_LEAST_LEFT = datetime.timedelta(seconds=20)
_LIFETIME = datetime.timedelta(days=1)
_UTILITY_AT, _UNTIL_AT = 52 + 1, 52 + 1 + 8 + 8 + 6

_WAITING = """
SELECT EXISTS (SELECT FROM relayer_useroperation WHERE hash = %(hash)s),
       count(*), count(*) FILTER (WHERE nonce = %(nonce)s)
FROM relayer_useroperation WHERE sender = %(sender)s AND chain_id = %(chain_id)s AND state IN ('queued', 'bundled')
"""
_INSERT = """
WITH made AS (
    INSERT INTO relayer_useroperation (
        hash, chain_id, entry_point, utility_id, api_key_id, validation, marks, sender, nonce, init_code, call_data,
        verification_gas_limit, call_gas_limit, pre_verification_gas, max_fee_per_gas_wei,
        max_priority_fee_per_gas_wei, paymaster_and_data, signature, state, failure, attempts, leased_by, expires_at,
        created_at
    ) VALUES (
        %(hash)s, %(chain_id)s, %(entry_point)s, %(utility_id)s, %(api_key_id)s, %(validation)s, %(marks)s, %(sender)s,
        %(nonce)s, %(init_code)s, %(call_data)s, %(verification_gas_limit)s, %(call_gas_limit)s,
        %(pre_verification_gas)s, %(max_fee_per_gas_wei)s, %(max_priority_fee_per_gas_wei)s, %(paymaster_and_data)s,
        %(signature)s, 'queued', '', 0, '', %(expires_at)s, %(now)s
    ) ON CONFLICT (hash) DO NOTHING RETURNING hash
)
INSERT INTO relayer_useroperationtransition (user_operation_id, state, detail, made_at)
SELECT hash, 'queued', '', %(now)s FROM made
"""


@db.durable
def receive(
    *, key: models.ApiKey, chain_id: int, received: wire.Received, entry_point: object, now: datetime.datetime
) -> str:
    """Put an operation into the pool and return its hash; the same operation twice is once.

    :raises codes.RefusedCall: with the code that says why.
    :raises errors.Unreachable: the node does not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    queries.check_entry_point(entry_point, deployment=deployment)
    operation = received.operation
    digest = received.hash(chain_id=chain_id, entry_point=deployment.entry_point)
    hash_ = "0x" + digest.hex()
    if _is_known(digest=digest, operation=operation, chain_id=chain_id):
        return hash_
    _check_limits(operation)
    expires_at = _check_paymaster(key=key, operation=operation, deployment=deployment, now=now)
    strangers = count_reputation.check(operation=operation, deployment=deployment)
    verdict = validate_operation.validate(operation=operation, deployment=deployment)
    use_quota.use(key=key, quota=models.ApiKeyUsage.Quota.OPERATIONS, count=1, now=now)
    row: dict[str, Any] = {
        "hash": digest,
        "chain_id": chain_id,
        "entry_point": deployment.entry_point,
        "utility_id": key.utility_id,
        "api_key_id": key.pk,
        "validation": verdict.validation,
        "marks": json.dumps(verdict.marks),
        "sender": operation.sender,
        "nonce": operation.nonce,
        "init_code": operation.init_code,
        "call_data": operation.call_data,
        "verification_gas_limit": operation.verification_gas_limit,
        "call_gas_limit": operation.call_gas_limit,
        "pre_verification_gas": operation.pre_verification_gas,
        "max_fee_per_gas_wei": operation.max_fee_per_gas,
        "max_priority_fee_per_gas_wei": operation.max_priority_fee_per_gas,
        "paymaster_and_data": operation.paymaster_and_data,
        "signature": operation.signature,
        "expires_at": expires_at,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, row)
    count_reputation.count_seen(chain_id=chain_id, entities=strangers, now=now)
    return hash_


def _is_known(*, digest: bytes, operation: user_operations.UserOperation, chain_id: int) -> bool:
    """Say whether the operation is in the pool already; refuse it when its sender has too many others there."""
    with connection.cursor() as cursor:
        asked: dict[str, Any] = {
            "hash": digest,
            "nonce": operation.nonce,
            "sender": operation.sender,
            "chain_id": chain_id,
        }
        cursor.execute(_WAITING, asked)
        is_known, waiting, with_nonce = cursor.fetchone()
    if is_known:
        return True
    if with_nonce:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "Another operation with this nonce is in the pool.")
    if waiting >= MAX_OF_SENDER:
        raise codes.RefusedCall(codes.Code.THROTTLED, f"The sender has {waiting} operations in the pool already.")
    return False


def _check_limits(operation: user_operations.UserOperation) -> None:
    total = operation.verification_gas_limit + operation.call_gas_limit + operation.pre_verification_gas
    if total > MAX_GAS:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"The gas limits add up to more than {MAX_GAS}.")
    encoded = user_operations.encode_get_user_op_hash(operation=operation)[36:]
    needed = gas.pre_verification(encoded=encoded)
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


def _check_paymaster(
    *,
    key: models.ApiKey,
    operation: user_operations.UserOperation,
    deployment: deployments.Deployment,
    now: datetime.datetime,
) -> datetime.datetime:
    """Return until when the operation may wait; refuse one that names a paymaster of ours without leave."""
    data = operation.paymaster_and_data
    if data[:20] == deployment.relay_paymaster:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "This paymaster pays for the relayer's own alone.")
    if data[:20] != deployment.paymaster:
        return now + _LIFETIME
    if len(data) < _UNTIL_AT + 6:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "The paymaster's data is cut short.")
    if int.from_bytes(data[_UTILITY_AT : _UTILITY_AT + 8]) != key.utility_id:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "Another utility pays for this operation.")
    until = datetime.datetime.fromtimestamp(int.from_bytes(data[_UNTIL_AT : _UNTIL_AT + 6]), tz=datetime.UTC)
    if until < now + _LEAST_LEFT:
        raise codes.RefusedCall(codes.Code.OUT_OF_TIME_RANGE, "The sponsorship is over, or nearly.")
    if until > now + datetime.timedelta(seconds=2 * paymaster.WINDOW_SECONDS):
        raise codes.RefusedCall(codes.Code.OUT_OF_TIME_RANGE, "The sponsorship lasts too long.")
    return until
