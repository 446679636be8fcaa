"""Reads the treasury's side of the chain over JSON-RPC: transfers that came in, and what is there."""

import dataclasses
from typing import Any

from django.conf import settings

from contracts import deployments
from contracts.bindings import events, tokens, words
from openvpp.core import errors, nodes

BLOCKS_PER_READ = 10_000
_TRANSFER_TOPIC = "0x" + words.keccak(b"Transfer(address,address,uint256)").hex()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TransferLog:
    """A token's own `Transfer` log."""

    transaction_hash: str
    log_index: int
    block_number: int
    sender: str
    units: int


def final_block(*, chain_id: int) -> int:
    """Return the newest block that counts as final.

    :raises errors.Unreachable: no node answered.
    """
    head = int(_ask(chain_id=chain_id, method="eth_blockNumber", parameters=[]), 16)
    return max(head - settings.CHAIN_CONFIRMATIONS, 0)


def read_transfers(
    *, chain_id: int, token: str, sender: str | None = None, recipient: str | None = None, last_block: int
) -> list[TransferLog]:
    """Return a token's transfers from a sender, to a recipient, or both, from the contracts' first block on.

    :raises errors.Unreachable: no node answered.
    """
    found: list[TransferLog] = []
    first = deployments.load(chain_id=chain_id).deployed_block
    for start in range(first, last_block + 1, BLOCKS_PER_READ):
        wanted = {
            "address": token,
            "fromBlock": hex(start),
            "toBlock": hex(min(start + BLOCKS_PER_READ - 1, last_block)),
            "topics": [_TRANSFER_TOPIC, _topic(sender), _topic(recipient)],
        }
        found += [_read(log) for log in _ask(chain_id=chain_id, method="eth_getLogs", parameters=[wanted])]
    return found


def read_balance(*, chain_id: int, token: str, holder: str) -> int:
    """Return what somebody holds of a token now, in base units.

    :raises errors.Unreachable: no node answered.
    """
    data = tokens.encode_balance_of(holder=words.parse_address(holder))
    call = {"to": token, "data": "0x" + data.hex()}
    return int(_ask(chain_id=chain_id, method="eth_call", parameters=[call, "latest"]), 16)


def _topic(address: str | None) -> str | None:
    return None if address is None else "0x" + words.address(words.parse_address(address)).hex()


def _read(log: dict[str, Any]) -> TransferLog:
    event = events.decode_rpc_log(log=log)
    if not isinstance(event, events.Transfer):
        raise errors.Unreachable("The node answered with a log that was not asked for.")
    return TransferLog(
        transaction_hash=log["transactionHash"],
        log_index=int(log["logIndex"], 16),
        block_number=int(log["blockNumber"], 16),
        sender=words.checksummed(event.sender),
        units=event.amount_units,
    )


def _ask(*, chain_id: int, method: str, parameters: list[Any]) -> Any:
    if chain_id != settings.CHAIN_ID:
        raise errors.Unreachable(f"No node of chain {chain_id} is configured.")
    try:
        return nodes.node().call(method, *parameters)
    except nodes.NodeRefused:
        raise errors.Unreachable(f"The node refused {method}.") from None
