"""Sends the transactions of a deployment: all at once, then waits for all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import eth_account
import web3
from eth_typing import ChecksumAddress, HexStr
from hexbytes import HexBytes
from web3.types import Nonce, TxReceipt, Wei

from contracts import plan
from contracts.bindings import words

RECEIPT_WITHIN_S = 120
_KNOWN_AFTER_S = 3

# The deterministic deployer's own deployment: signed by nobody's key, the same on every chain.
_DEPLOYER_COST_WEI = 10**16
_DEPLOYER_TRANSACTION = bytes.fromhex(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffff"
    "ffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba0222222222222222222222"
    "2222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222"
)
_GET_DEPOSIT_INFO = words.selector("getDepositInfo(address)")


class UnableToSend(Exception):
    """A transaction was not taken, or failed."""


class Account(Protocol):
    """Whose transactions are sent: a key of this process, or one that is held elsewhere."""

    address: str

    def sign(self, transaction: Mapping[str, Any], /) -> bytes:
        """Return a transaction of type 2, its fields named as JSON-RPC does, in its raw signed form."""
        ...


class KeyAccount:
    """The account of a private key that this process holds."""

    def __init__(self, secret: bytes) -> None:
        self._account = eth_account.Account.from_key(secret)
        self.address = str(self._account.address)

    def sign(self, transaction: Mapping[str, Any], /) -> bytes:
        return bytes(self._account.sign_transaction(dict(transaction)).raw_transaction)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A transaction to a contract: target, calldata, native coin in wei."""

    to: bytes
    data: bytes
    value_wei: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Sender:
    """Sends for one key on one chain."""

    client: web3.Web3
    account: Account
    chain_id: int

    def has_code(self, address: bytes) -> bool:
        """Return whether a contract stands at an address."""
        return bool(self.client.eth.get_code(_checksummed(address)))

    def code_hash(self, address: bytes) -> bytes:
        """Return the hash of the code at an address."""
        return words.keccak(bytes(self.client.eth.get_code(_checksummed(address))))

    def deposit_info(self, entry_point: bytes, holder: bytes) -> tuple[int, bool, int]:
        """Return somebody's deposit in wei, whether they are staked, and their stake in wei."""
        answer = bytes(
            self.client.eth.call(
                {
                    "to": _checksummed(entry_point),
                    "data": HexStr("0x" + (_GET_DEPOSIT_INFO + words.address(holder)).hex()),
                }
            )
        )
        return words.read_uint(answer, 0), bool(words.read_uint(answer, 32)), words.read_uint(answer, 64)

    def ensure_deterministic_deployer(self) -> None:
        """Put the deterministic deployer on the chain if it is not there.

        :raises UnableToSend: if the chain refuses its transaction, as it carries no chain id.
        """
        if self.has_code(plan.DETERMINISTIC_DEPLOYER):
            return
        missing = _DEPLOYER_COST_WEI - self.client.eth.get_balance(_checksummed(plan.DETERMINISTIC_DEPLOYERS_SIGNER))
        if missing > 0:
            self.send_all([Call(plan.DETERMINISTIC_DEPLOYERS_SIGNER, b"", missing)])
        self.client.eth.send_raw_transaction(_DEPLOYER_TRANSACTION)
        self._wait([_DEPLOYER_TRANSACTION])

    def create_all(self, creations: Sequence[plan.Creation]) -> None:
        """Create contracts, in order.

        :raises UnableToSend: if one does not stand afterwards.
        """
        # A transaction each before the one before it is mined, so gas is reckoned: 200 a byte of code at most, and its
        # constructor's work.
        self._send(
            [
                (Call(plan.DETERMINISTIC_DEPLOYER, made.salt + made.code), 700_000 + 245 * len(made.code))
                for made in creations
            ]
        )
        for made in creations:
            if not self.has_code(made.address):
                message = f"{made.name} does not stand at {words.checksummed(made.address)}"
                raise UnableToSend(message)

    def send_all(self, calls: Sequence[Call]) -> None:
        """Send transactions, in order.

        :raises UnableToSend: if one fails.
        """
        self._send([(call, self._estimate(call)) for call in calls])

    def _send(self, calls: Sequence[tuple[Call, int]]) -> None:
        if not calls:
            return
        nonce = self.client.eth.get_transaction_count(web3.Web3.to_checksum_address(self.account.address), "pending")
        tip = self.client.eth.max_priority_fee
        price = 2 * (self.client.eth.get_block("latest").get("baseFeePerGas") or Wei(0)) + tip
        sent = []
        for place, (call, gas) in enumerate(calls):
            raw = self.account.sign(
                {
                    "chainId": self.chain_id,
                    "nonce": Nonce(nonce + place),
                    "to": _checksummed(call.to),
                    "value": Wei(call.value_wei),
                    "data": HexStr("0x" + call.data.hex()),
                    "gas": gas,
                    "maxFeePerGas": Wei(price),
                    "maxPriorityFeePerGas": tip,
                }
            )
            self.client.eth.send_raw_transaction(raw)
            sent.append(raw)
        self._wait(sent)

    def _estimate(self, call: Call) -> int:
        return (
            self.client.eth.estimate_gas(
                {
                    "from": _checksummed(words.parse_address(self.account.address)),
                    "to": _checksummed(call.to),
                    "value": Wei(call.value_wei),
                    "data": HexStr("0x" + call.data.hex()),
                }
            )
            * 5
            // 4
        )

    def _wait(self, sent: Sequence[bytes]) -> None:
        """Wait for receipts; send again what the node forgot, as nodes do when a block has no room left.

        :raises UnableToSend: if one failed.
        """
        deadline = time.monotonic() + RECEIPT_WITHIN_S
        for transaction in sent:
            receipt = self._receipt(transaction, deadline)
            if receipt["status"] != 1:
                message = f"transaction {receipt['transactionHash'].to_0x_hex()} failed"
                raise UnableToSend(message)

    def _receipt(self, transaction: bytes, deadline: float) -> TxReceipt:
        transaction_hash = HexBytes(words.keccak(transaction))
        while True:
            try:
                return self.client.eth.wait_for_transaction_receipt(
                    transaction_hash, timeout=_KNOWN_AFTER_S, poll_latency=0.05
                )
            except web3.exceptions.TimeExhausted:
                if time.monotonic() > deadline:
                    raise
            try:
                self.client.eth.get_transaction(transaction_hash)
            except web3.exceptions.TransactionNotFound:
                self.client.eth.send_raw_transaction(transaction)


def _checksummed(address: bytes) -> ChecksumAddress:
    return web3.Web3.to_checksum_address(address)
