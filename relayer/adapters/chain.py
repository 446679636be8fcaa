"""What the relayer asks of a chain, in its own terms."""

import dataclasses
import datetime
import functools
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from contracts.bindings import events, tokens, user_operations, words
from openvpp.core import errors
from relayer.adapters import rpc, simulation
from relayer.domain import fees

logger = logging.getLogger(__name__)

USER_OPERATION_EVENT = events.topic_of("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)")
_HISTORY_BLOCKS = 10
_MEDIAN = 50
_WITHOUT_TRANSACTIONS = False
_KNOWN = ("already known", "already imported", "known transaction", "already in mempool")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest block."""

    number: int
    hash: str
    timestamp: int


def chain_id() -> int:
    """Return the chain that the nodes are on: ours if one of them is, else another.

    :raises errors.Unreachable: no node answers.
    """
    return rpc.node().chain_id()


def head() -> Head:
    """Return the newest block that as many nodes as make a quorum have reached.

    Without a quorum that is the last one that had it: blocks go by, none becomes final.

    :raises errors.Unreachable: no node answers.
    """
    newest: rpc.Call = ("eth_getBlockByNumber", ("latest", _WITHOUT_TRANSACTIONS))
    try:
        answers = rpc.node().agree([newest])
    except rpc.NoQuorum as error:
        logger.warning("no quorum: %s", error)
        if _Agreed.head is None:
            raise
        return _Agreed.head
    agreed = min((_head(_expect(answer)) for (answer,) in answers), key=lambda found: found.number)
    _Agreed.head = agreed
    return agreed


class _Agreed:
    """The newest block that had a quorum, as this process knows it."""

    head: Head | None = None


def gas_prices() -> fees.GasPrices:
    """Return what to offer for gas now.

    :raises errors.Unreachable: the node does not answer.
    """
    history = _ask("eth_feeHistory", rpc.quantity(_HISTORY_BLOCKS), "latest", [_MEDIAN])
    return fees.prices_from(
        base_fee_wei=int(history["baseFeePerGas"][-1], 16),
        tips_wei=tuple(int(reward[0], 16) for reward in history.get("reward") or []),
        least_tip_wei=settings.CHAIN_LEAST_TIP_WEI,
    )


def recent_gas_prices() -> fees.GasPrices:
    """Return what was to be offered for gas at most a second ago.

    :raises errors.Unreachable: the node does not answer.
    """
    return _gas_prices_of(int(time.monotonic()))


@functools.lru_cache(maxsize=2)
def _gas_prices_of(_second: int) -> fees.GasPrices:
    return gas_prices()


def call(
    *,
    to: bytes,
    data: bytes,
    sender: bytes | None = None,
    gas: int | None = None,
    delegated: simulation.Delegations = simulation.NONE,
) -> bytes:
    """Return what a contract answers, with accounts running others' code as a transaction with authorisations does.

    :raises errors.Unreachable: the node does not answer.
    :raises rpc.NodeRefused: the call reverts.
    """
    request = {"to": "0x" + to.hex(), "data": "0x" + data.hex()}
    if sender is not None:
        request["from"] = "0x" + sender.hex()
    if gas is not None:
        request["gas"] = rpc.quantity(gas)
    return bytes.fromhex(rpc.node().call("eth_call", request, "latest", *simulation.overrides(delegated))[2:])


def estimate_gas(*, to: bytes, data: bytes, sender: bytes, value_wei: int) -> int:
    """Return what a transaction will need, with a fifth on top.

    :raises errors.Unreachable: the node does not answer.
    :raises rpc.NodeRefused: it would revert.
    """
    request = {
        "from": "0x" + sender.hex(),
        "to": "0x" + to.hex(),
        "data": "0x" + data.hex(),
        "value": rpc.quantity(value_wei),
    }
    gas = int(rpc.node().call("eth_estimateGas", request), 16)
    return gas + gas // 5


def try_calls(
    *,
    to: bytes,
    datas: Sequence[bytes],
    sender: bytes,
    gas: int,
    delegated: simulation.Delegations = simulation.NONE,
) -> list[rpc.NodeRefused | None]:
    """Return what stands against each call on its own: None where nothing does.

    :raises errors.Unreachable: the node does not answer.
    """
    shared = {"to": "0x" + to.hex(), "from": "0x" + sender.hex(), "gas": rpc.quantity(gas)}
    state = simulation.overrides(delegated)
    answers = rpc.node().batch(
        [("eth_call", (shared | {"data": "0x" + data.hex()}, "latest", *state)) for data in datas]
    )
    return [answer if isinstance(answer, rpc.NodeRefused) else None for answer in answers]


def account_nonces(*, addresses: Sequence[str]) -> list[int]:
    """Return how many transactions of each address stand in blocks.

    :raises errors.Unreachable: the node does not answer.
    """
    answers = rpc.node().batch([("eth_getTransactionCount", (address, "latest")) for address in addresses])
    return [int(_expect(answer), 16) for answer in answers]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How many transactions of an address stand in blocks, and its native coin."""

    nonce: int
    balance_wei: int


def accounts(*, addresses: Sequence[str]) -> list[Account]:
    """Return nonce and balance of each address.

    :raises errors.Unreachable: the node does not answer.
    """
    methods = ("eth_getTransactionCount", "eth_getBalance")
    answers = rpc.node().batch([(method, (address, "latest")) for address in addresses for method in methods])
    found = [int(_expect(answer), 16) for answer in answers]
    return [Account(nonce=nonce, balance_wei=wei) for nonce, wei in zip(found[::2], found[1::2], strict=True)]


def balance_wei(*, address: str) -> int:
    """Return the native coin of an address.

    :raises errors.Unreachable: the node does not answer.
    """
    return int(_ask("eth_getBalance", address, "latest"), 16)


def operation_nonce(*, entry_point: bytes, sender: bytes, key: int, block_number: int) -> int:
    """Return the EntryPoint's next nonce of a sender under a nonce key, as of a block.

    :raises errors.Unreachable: the node does not answer.
    """
    data = user_operations.encode_get_nonce(sender=sender, key=key)
    request = {"to": "0x" + entry_point.hex(), "data": "0x" + data.hex()}
    return int(_ask("eth_call", request, rpc.quantity(block_number)), 16)


def block_hashes(*, numbers: Sequence[int]) -> list[str | None]:
    """Return the hash of the block at each height, None where there is none or the nodes of a quorum differ.

    :raises errors.Unreachable: the nodes do not answer.
    """
    if not numbers:
        return []
    calls = [("eth_getBlockByNumber", (rpc.quantity(number), _WITHOUT_TRANSACTIONS)) for number in numbers]
    try:
        found = [[_hash(_expect(answer)) for answer in answers] for answers in rpc.node().agree(calls)]
    except rpc.NoQuorum:
        return [None for _ in numbers]
    return [hashes[0] if len(set(hashes)) == 1 else None for hashes in zip(*found, strict=True)]


def timestamp_of(*, block_number: int) -> int:
    """Return the Unix time of a block.

    :raises errors.Unreachable: the node does not answer, or has no such block.
    """
    block = _ask("eth_getBlockByNumber", rpc.quantity(max(block_number, 0)), _WITHOUT_TRANSACTIONS)
    if block is None:
        raise errors.Unreachable("The node lacks a block that it should have.")
    return int(block["timestamp"], 16)


def receipts(*, hashes: Sequence[str]) -> list[Mapping[str, Any] | None]:
    """Return each transaction's receipt, None for one that stands in no block.

    :raises errors.Unreachable: the node does not answer.
    """
    answers = rpc.node().batch([("eth_getTransactionReceipt", (each,)) for each in hashes])
    return [_expect(answer) for answer in answers]


def receipt_of_each(*, transaction_hash: str) -> list[Mapping[str, Any] | None]:
    """Return a transaction's receipt as each node of a quorum has it; nothing where one node's word is enough.

    :raises errors.Unreachable: too few nodes answer.
    """
    if rpc.node().quorum == 1:
        return []
    answers = rpc.node().agree([("eth_getTransactionReceipt", (transaction_hash,))])
    return [_expect(answer) for (answer,) in answers]


def have_none(*, hashes: Sequence[str]) -> bool:
    """Say whether none of the nodes, the slow ones included, has any of these transactions in a block.

    Fewer nodes than make a quorum cannot say so.

    :raises errors.Unreachable: no node answers.
    """
    try:
        found = rpc.node().everywhere([("eth_getTransactionReceipt", (each,)) for each in hashes])
    except rpc.NoQuorum:
        return False
    return all(_expect(answer) is None for answers in found for answer in answers)


def find_execution(*, entry_point: bytes, user_operation_hash: str, from_block: int) -> str | None:
    """Return the hash of the transaction that executed an operation, whoever sent it.

    :raises errors.Unreachable: the node does not answer.
    """
    query = {
        "address": "0x" + entry_point.hex(),
        "topics": ["0x" + USER_OPERATION_EVENT.hex(), user_operation_hash],
        "fromBlock": rpc.quantity(max(from_block, 0)),
        "toBlock": "latest",
    }
    logs = _ask("eth_getLogs", query)
    return str(logs[-1]["transactionHash"]) if logs else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sponsored:
    """What operations of some blocks cost, in wei by their hashes, and the Unix time of the last of these blocks."""

    costs_wei: Mapping[str, int]
    until: int


def sponsored(*, entry_point: bytes, paymasters: Sequence[bytes], from_block: int, to_block: int) -> Sponsored:
    """Return what was paid by paymasters in the blocks from one to another, both included, whoever sent it.

    Both questions go to one node together: one that lacks the last block does not answer for the ones before.

    :raises errors.Unreachable: the node does not answer, or has no such block.
    """
    query = {
        "address": "0x" + entry_point.hex(),
        "topics": [
            "0x" + USER_OPERATION_EVENT.hex(),
            None,
            None,
            ["0x" + each.hex().rjust(64, "0") for each in paymasters],
        ],
        "fromBlock": rpc.quantity(from_block),
        "toBlock": rpc.quantity(to_block),
    }
    last = rpc.quantity(to_block)
    calls = [("eth_getBlockByNumber", (last, _WITHOUT_TRANSACTIONS)), ("eth_getLogs", (query,))]
    block, logs = (_expect(answer) for answer in rpc.node().batch(calls))
    if block is None:
        raise errors.Unreachable("The node lacks a block that it should have.")
    found = [events.decode_rpc_log(log=log) for log in logs]
    return Sponsored(
        costs_wei={
            "0x" + event.user_operation_hash.hex(): event.actual_gas_cost_wei
            for event in found
            if isinstance(event, events.UserOperationEvent)
        },
        until=int(block["timestamp"], 16),
    )


def send(*, raw: bytes, age: datetime.timedelta | None = None) -> None:
    """Hand a signed transaction to the nodes; one that they know already is fine.

    With an `age` younger than CHAIN_PRIVATE_FOR it goes to the private node alone, where there is one.

    :raises errors.Unreachable: no node answers.
    :raises rpc.NodeRefused: none takes it.
    """
    private = rpc.private_node() if age is not None and age < settings.CHAIN_PRIVATE_FOR else None
    tell = private.call if private is not None else rpc.node().broadcast
    try:
        tell("eth_sendRawTransaction", "0x" + raw.hex())
    except rpc.NodeRefused as refusal:
        if not any(phrase in refusal.reason.lower() for phrase in _KNOWN):
            raise


def feed_price(*, feed: bytes) -> tuple[tokens.Price, int]:
    """Return a feed's latest answer and its decimals.

    :raises errors.Unreachable: the node does not answer.
    :raises errors.Refused: there is no such feed, or it has no price.
    """
    answer, decimals = (
        call(to=feed, data=data) for data in (tokens.encode_latest_round_data(), tokens.encode_decimals())
    )
    try:
        return tokens.decode_latest_round_data(result=answer), words.read_uint(decimals, 0)
    except ValueError as error:
        raise errors.Refused(str(error)) from None


def _head(block: Mapping[str, Any]) -> Head:
    return Head(number=int(block["number"], 16), hash=str(block["hash"]), timestamp=int(block["timestamp"], 16))


def _hash(block: Mapping[str, Any] | None) -> str | None:
    return None if block is None else str(block["hash"])


def _ask(method: str, *parameters: object) -> Any:
    """Return the answer to a question that a healthy node never refuses."""
    return _expect(rpc.node().batch([(method, parameters)])[0])


def _expect(answer: Any) -> Any:
    if isinstance(answer, rpc.NodeRefused):
        raise errors.Unreachable(f"The node refused: {answer.reason}")
    return answer
