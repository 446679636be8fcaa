"""What can be called at `/rpc/v1/<chain_id>`: one function a method, by its name on the wire."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings

from contracts import deployments
from contracts.bindings import words
from relayer import models, operations, queries
from relayer.adapters import chain
from relayer.domain import codes, wire
from relayer.rpc import debugging
from relayer.usecases import estimate_operation, quote_fee, receive_operation, sponsor_operation

_Scope = models.ApiKey.Scope
_QUANTITY_BITS = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose key it is, for which chain, and when."""

    key: models.ApiKey
    chain_id: int
    now: datetime.datetime


type Method = Callable[[Caller, Sequence[Any]], Any]


def answer(*, caller: Caller, method: object, parameters: object) -> Any:
    """Return a method's result.

    :raises codes.RefusedCall: the method's error, or there is no such method, or the key lacks its scope.
    :raises errors.Unreachable: node or signer do not answer.
    """
    if settings.RELAYER_DEBUG_METHODS and isinstance(method, str) and method in debugging.METHODS:
        most, debug = debugging.METHODS[method]
        given = _checked(caller, scope=_Scope.SEND, most=most, parameters=parameters)
        return debug(caller.key, caller.chain_id, given, caller.now)
    if not isinstance(method, str) or method not in _METHODS:
        raise codes.RefusedCall(codes.Code.NO_SUCH_METHOD, "There is no such method.")
    scope, most, function = _METHODS[method]
    return function(caller, _checked(caller, scope=scope, most=most, parameters=parameters))


def _checked(caller: Caller, *, scope: models.ApiKey.Scope | None, most: int, parameters: object) -> list[Any]:
    """Return as many parameters as the method has."""
    if scope is not None and scope not in caller.key.scopes:
        raise codes.RefusedCall(codes.Code.NOT_ALLOWED, f"The key lacks the scope {scope.value}.")
    given = [] if parameters is None else parameters
    if not isinstance(given, list) or len(given) > most:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"Parameters are a list of at most {most}.")
    return [*given, *[None] * (most - len(given))]


def read_send(*, caller: Caller, parameters: object) -> receive_operation.Asked:
    """Return what `eth_sendUserOperation` brings; operations go into the pool together (`answering`).

    :raises codes.RefusedCall: the key lacks the scope, or the operation is malformed.
    """
    operation, entry_point = _checked(caller, scope=_Scope.SEND, most=2, parameters=parameters)
    return receive_operation.Asked(key=caller.key, received=wire.read_operation(operation), entry_point=entry_point)


def _chain_id(caller: Caller, _given: Sequence[Any]) -> str:
    return hex(caller.chain_id)


def _supported_entry_points(caller: Caller, _given: Sequence[Any]) -> list[str]:
    return [words.checksummed(deployments.load(chain_id=caller.chain_id).entry_point)]


def _estimate(caller: Caller, given: Sequence[Any]) -> dict[str, str]:
    queries.check_entry_point(given[1], deployment=deployments.load(chain_id=caller.chain_id))
    received = wire.read_operation(given[0], is_partial=True)
    return estimate_operation.estimate(chain_id=caller.chain_id, received=received)


def _by_hash(caller: Caller, given: Sequence[Any]) -> dict[str, Any] | None:
    row = _find(caller, given[0])
    if row is None:
        return None
    receipt = getattr(row, "receipt", None)
    return {
        "userOperation": wire.write_operation(row.to_binding(), row.to_authorization()),
        "entryPoint": str(row.entry_point),
        "transactionHash": None if receipt is None else str(receipt.transaction_hash),
        "blockHash": None if receipt is None else str(receipt.block_hash),
        "blockNumber": None if receipt is None else hex(receipt.block_number),
    }


def _receipt(caller: Caller, given: Sequence[Any]) -> dict[str, Any] | None:
    row = _find(caller, given[0])
    found = None if row is None else getattr(row, "receipt", None)
    if row is None or found is None:
        return None
    (bundle,) = chain.receipts(hashes=[str(found.transaction_hash)])
    if bundle is None or bundle["blockHash"] != str(found.block_hash):
        return None
    own = {log["log_index"] for log in found.logs}
    paid_by = bytes(row.paymaster_and_data)[:20]
    return {
        "userOpHash": str(row.hash),
        "entryPoint": str(row.entry_point),
        "sender": str(row.sender),
        "nonce": hex(int(row.nonce)),
        "paymaster": words.checksummed(paid_by) if paid_by else None,
        "actualGasCost": hex(int(found.gas_cost_wei)),
        "actualGasUsed": hex(found.gas_used),
        "success": found.has_succeeded,
        "reason": found.reason,
        "logs": [log for log in bundle["logs"] if int(log["logIndex"], 16) in own],
        "receipt": bundle,
    }


def _status(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    row = _find(caller, given[0])
    if row is None:
        return {"status": "not_found", "transactionHash": None}
    states = {
        "queued": "not_submitted",
        "bundled": "submitted",
        "mined": "included",
        "succeeded": "included",
        "failed": "rejected",
    }
    receipt = getattr(row, "receipt", None)
    status = "included" if receipt is not None else states[row.state]
    return {
        "status": status,
        "transactionHash": None if receipt is None else str(receipt.transaction_hash),
        "reason": row.failure or None,
    }


def _gas_price(_caller: Caller, _given: Sequence[Any]) -> dict[str, dict[str, str]]:
    prices = chain.recent_gas_prices()
    base, tip = prices.base_fee_wei, max(prices.max_priority_fee_per_gas_wei, settings.CHAIN_LEAST_TIP_WEI)
    return {
        name: {"maxFeePerGas": hex(base * percent // 100 + tip), "maxPriorityFeePerGas": hex(tip)}
        for name, percent in (("slow", 130), ("standard", 160), ("fast", 200))
    }


def _stub(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    queries.check_not_paused(utility_id=caller.key.utility_id)
    _check_chain(caller, given[2])
    return sponsor_operation.stub(key=caller.key, chain_id=caller.chain_id, entry_point=given[1], now=caller.now)


def _paymaster_data(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    queries.check_not_paused(utility_id=caller.key.utility_id)
    _check_chain(caller, given[2])
    return sponsor_operation.sponsor(
        key=caller.key,
        chain_id=caller.chain_id,
        received=wire.read_operation(given[0], is_partial=True),
        entry_point=given[1],
        context=given[3],
        now=caller.now,
    )


def _fee_quote(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    queries.check_not_paused(utility_id=caller.key.utility_id)
    queries.check_entry_point(given[1], deployment=deployments.load(chain_id=caller.chain_id))
    if not isinstance(given[2], Mapping):
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, 'The third parameter is {"token": address}.')
    try:
        return quote_fee.quote(
            key=caller.key,
            chain_id=caller.chain_id,
            received=wire.read_operation(given[0], is_partial=True),
            token=given[2].get("token"),
            now=caller.now,
        )
    except operations.UnableToQuoteFee as error:
        raise codes.RefusedCall(codes.Code.INTERNAL, error.detail) from None


def _find(caller: Caller, hash_: object) -> models.UserOperation | None:
    return queries.find_operation(utility_id=caller.key.utility_id, chain_id=caller.chain_id, user_operation_hash=hash_)


def _check_chain(caller: Caller, chain_id: object) -> None:
    if wire.number_of({"chainId": chain_id}, "chainId", bits=_QUANTITY_BITS) != caller.chain_id:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "The operation is for another chain.")


# Name on the wire: the scope that a key needs, how many parameters there may be, the function.
_METHODS: dict[str, tuple[models.ApiKey.Scope | None, int, Method]] = {
    "eth_chainId": (None, 0, _chain_id),
    "eth_supportedEntryPoints": (None, 0, _supported_entry_points),
    "eth_estimateUserOperationGas": (_Scope.READ, 3, _estimate),
    "eth_getUserOperationByHash": (_Scope.READ, 1, _by_hash),
    "eth_getUserOperationReceipt": (_Scope.READ, 1, _receipt),
    "pimlico_getUserOperationGasPrice": (_Scope.READ, 0, _gas_price),
    "pimlico_getUserOperationStatus": (_Scope.READ, 1, _status),
    "pm_getPaymasterStubData": (_Scope.SPONSOR, 4, _stub),
    "pm_getPaymasterData": (_Scope.SPONSOR, 4, _paymaster_data),
    "openvpp_getFeeQuote": (_Scope.SPONSOR, 3, _fee_quote),
}
