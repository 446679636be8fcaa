"""Receipts of bundles, cut into the receipts of their operations."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.bindings import events, reverts, words

_SUCCESS = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log as the chain gives it: checksummed address, topics and data as hexadecimal text."""

    address: str
    topics: tuple[str, ...]
    data: str
    log_index: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the chain says of one operation; `logs` are those of its own execution, in their order."""

    user_operation_hash: str
    succeeded: bool
    reason: str
    transaction_hash: str
    block_number: int
    block_hash: str
    gas_used: int
    gas_cost_wei: int
    logs: tuple[Log, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BundleReceipt:
    """What the chain says of a transaction that carried a bundle."""

    transaction_hash: str
    block_number: int
    block_hash: str
    has_reverted: bool
    gas_used: int
    gas_price_wei: int
    operations: tuple[Receipt, ...]


def read(*, receipt: Mapping[str, Any], entry_point: bytes) -> BundleReceipt:
    """Return a node's receipt, with one receipt for each operation that the EntryPoint says it executed.

    :raises ValueError: the receipt is malformed.
    """
    block: dict[str, Any] = {
        "transaction_hash": str(receipt["transactionHash"]),
        "block_number": int(receipt["blockNumber"], 16),
        "block_hash": str(receipt["blockHash"]),
    }
    return BundleReceipt(
        **block,
        has_reverted=int(receipt["status"], 16) != _SUCCESS,
        gas_used=int(receipt["gasUsed"], 16),
        gas_price_wei=int(receipt.get("effectiveGasPrice", "0x0"), 16),
        operations=tuple(_operations(logs=receipt["logs"], entry_point=entry_point, block=block)),
    )


def _operations(*, logs: Sequence[Mapping[str, Any]], entry_point: bytes, block: Mapping[str, Any]) -> list[Receipt]:
    """Cut the logs at the EntryPoint's own marks: an operation's end with its `UserOperationEvent`.

    Only the EntryPoint's logs are marks: an account may emit whatever it likes.
    """
    found: list[Receipt] = []
    own: list[Log] = []
    reason = ""
    for raw in logs:
        own.append(_log(raw))
        if words.parse_address(own[-1].address) != entry_point:
            continue
        event = events.decode_rpc_log(log=raw)
        if isinstance(event, events.BeforeExecution):
            own, reason = [], ""
        elif isinstance(event, events.UserOperationRevertReason):
            reason = reverts.describe(event.revert_data)
        elif isinstance(event, events.UserOperationEvent):
            found.append(
                Receipt(
                    user_operation_hash="0x" + event.user_operation_hash.hex(),
                    succeeded=event.success,
                    reason="" if event.success else (reason or "reverted without a reason"),
                    gas_used=event.actual_gas_used,
                    gas_cost_wei=event.actual_gas_cost_wei,
                    logs=tuple(own),
                    **block,
                )
            )
            own, reason = [], ""
    return found


def _log(raw: Mapping[str, Any]) -> Log:
    return Log(
        address=words.checksummed(bytes.fromhex(raw["address"][2:])),
        topics=tuple(raw["topics"]),
        data=str(raw["data"]),
        log_index=int(raw["logIndex"], 16),
    )
