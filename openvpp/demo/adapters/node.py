"""What the chain itself says, asked of its node: receipts, balances, and the tokens' own Transfer logs."""

import dataclasses
from typing import Any

from contracts.bindings import events, tokens, words
from openvpp.core import http
from openvpp.demo.adapters import phone


@dataclasses.dataclass(frozen=True, slots=True)
class Moved:
    """One `Transfer`: token, from, to (checksummed) and base units."""

    token: str
    sender: str
    recipient: str
    units: int


class Node:
    """A chain's JSON-RPC, read only."""

    def __init__(self, *, url: str) -> None:
        self._client = http.Client(base_url=url)

    def native_wei(self, address: str, block: str = "latest") -> int:
        """Return what an account holds of the native coin."""
        return int(self._ask("eth_getBalance", address, block), 16)

    def token_units(self, *, token: str, holder: str) -> int:
        """Return what an account holds of a token now."""
        data = "0x" + tokens.encode_balance_of(holder=words.parse_address(holder)).hex()
        return int(self._ask("eth_call", {"to": token, "data": data}, "latest"), 16)

    def receipt(self, transaction_hash: str) -> dict[str, Any]:
        """Return a transaction's receipt.

        :raises phone.UnableToPlay: the chain does not know it, or it failed.
        """
        receipt: dict[str, Any] | None = self._ask("eth_getTransactionReceipt", transaction_hash)
        if receipt is None or receipt["status"] != "0x1":
            raise phone.UnableToPlay(
                f"The chain has no successful transaction {transaction_hash}.", code="not_on_chain"
            )
        return receipt

    def transfers(self, receipt: dict[str, Any]) -> list[Moved]:
        """Return the Transfers in a receipt, in order."""
        decoded = [events.decode_rpc_log(log=log) for log in receipt["logs"]]
        return [
            Moved(
                token=words.checksummed(event.emitter),
                sender=words.checksummed(event.sender),
                recipient=words.checksummed(event.recipient),
                units=event.amount_units,
            )
            for event in decoded
            if isinstance(event, events.Transfer)
        ]

    def _ask(self, method: str, *params: Any) -> Any:
        answer = self._client.post(path="", body={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        if "error" in answer:
            raise phone.UnableToPlay(
                f"The node refuses {method}: {answer['error'].get('message')}", code="node_refused"
            )
        return answer.get("result")
