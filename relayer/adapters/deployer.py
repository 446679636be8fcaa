"""The deployer's transactions, for provisioning: signed by the signer, or with a key that is read from a file."""

import pathlib
import time
from collections.abc import Callable

from contracts.bindings import words
from custody.domain import keys, transactions
from openvpp.core import errors
from relayer.adapters import chain, rpc

_MINED_WITHIN_SECONDS = 60.0
_POLL_SECONDS = 0.1


class UnableToReadDeployerKey(Exception):
    """The file is absent or holds no private key."""


class Deployer:
    """Whoever owns the paymaster; sends one transaction after the other and waits for each."""

    def __init__(self, *, address: str, sign: Callable[[transactions.Transaction], bytes], chain_id: int) -> None:
        """Take an address, and what returns a transaction of its in raw signed form."""
        self.address = address
        self._sign = sign
        self._chain_id = chain_id

    def send(self, *, to: bytes, data: bytes = b"", value_wei: int = 0) -> None:
        """Send a transaction and wait until it stands in a block.

        :raises errors.Refused: the chain refuses it, or it reverts.
        :raises errors.Unreachable: the node does not answer, or no block takes it within a minute.
        """
        sender = words.parse_address(self.address)
        prices = chain.gas_prices()
        (nonce,) = chain.account_nonces(addresses=[self.address])
        transaction = transactions.Transaction(
            chain_id=self._chain_id,
            nonce=nonce,
            max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
            max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
            gas_limit=chain.estimate_gas(to=to, data=data, sender=sender, value_wei=value_wei),
            to=to,
            value_wei=value_wei,
            data=data,
        )
        raw = self._sign(transaction)
        chain.send(raw=raw)
        self._wait("0x" + words.keccak(raw).hex())

    def _wait(self, transaction_hash: str) -> None:
        deadline = time.monotonic() + _MINED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            (receipt,) = chain.receipts(hashes=[transaction_hash])
            if receipt is None:
                time.sleep(_POLL_SECONDS)
                continue
            if int(receipt["status"], 16) != 1:
                raise errors.Refused(f"{transaction_hash} reverted.")
            return
        raise errors.Unreachable(f"{transaction_hash} stands in no block after {_MINED_WITHIN_SECONDS:.0f} seconds.")


def load(*, path: str, chain_id: int) -> Deployer:
    """Return the deployer whose private key, in hexadecimal, stands in a file.

    :raises UnableToReadDeployerKey: there is none.
    """
    key = _parse(path)
    if key is None:
        raise UnableToReadDeployerKey(f"{path} does not hold a private key (64 hexadecimal digits).")
    return Deployer(
        address=key.address,
        sign=lambda sent: sent.signed(signature=key.sign(digest=sent.digest())),
        chain_id=chain_id,
    )


def balance_wei(*, address: str) -> int:
    """Return the native coin of an address.

    :raises errors.Unreachable: the node does not answer.
    """
    try:
        return int(rpc.node().call("eth_getBalance", address, "latest"), 16)
    except rpc.NodeRefused as refusal:
        raise errors.Unreachable(refusal.reason) from None


def _parse(path: str) -> keys.PrivateKey | None:
    try:
        return keys.PrivateKey(
            keys.Secret(bytes.fromhex(pathlib.Path(path).read_text(encoding="ascii").strip().removeprefix("0x")))
        )
    except (OSError, ValueError):
        return None
