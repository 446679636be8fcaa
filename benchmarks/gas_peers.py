"""The peers of the gas benchmark: accounts and paymasters that npm brings, paying the same bill with a token fee."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from contracts.bindings import tokens, user_operations, words
from tests import chain_fixture

PAYEE = words.keccak(b"peers' treasury")[12:]
AMOUNT_UNITS = 1_234_567
SIMPLE = "SimpleAccount v0.8 + OpenZeppelin PaymasterERC20 (owner key, no session)"
ERC7579 = "OpenZeppelin ERC-7579 account + PaymasterERC20 (owner key, no session)"

_EXECUTE_SIMPLE = words.selector("execute(address,uint256,bytes)")
_EXECUTE_7579 = words.selector("execute(bytes32,bytes)")
_CREATE_SIMPLE = words.selector("createAccount(address,uint256)")
_INITIALIZE = words.selector("initialize(address)")
_ACCOUNT_ADDRESS = words.selector("getAddress(address,uint256)")


@dataclasses.dataclass(frozen=True)
class Account:
    """A peer's account and its owner's key."""

    address: bytes
    owner: chain_fixture.Key


class Peers:
    """Accounts of each peer that have each paid once already."""

    def __init__(self, chain: chain_fixture.Chain, *, accounts: int) -> None:
        self.chain = chain
        entry_point = words.address(chain.deployment.entry_point)
        self.paymaster = chain_fixture.create(
            chain, "PeerPaymaster", entry_point + words.address(chain.deployment.stablecoin)
        )
        self.simple_factory = chain_fixture.create(chain, "PeerSimpleAccountFactory", entry_point)
        self.implementation = chain_fixture.create(chain, "PeerERC7579Account", entry_point)
        deposit = words.selector("depositTo(address)") + words.address(self.paymaster)
        self._send(chain.deployment.entry_point, deposit, value_wei=10 * chain_fixture.ETHER)
        chain.give(self.paymaster, 5)
        self.simple = [self._make_simple(i) for i in range(accounts)]
        self.erc7579 = [self._make_7579(i) for i in range(accounts)]
        self._pay(self.simple, _execute_simple, accounts)
        self._pay(self.erc7579, _execute_7579, accounts)

    def ways(self) -> dict[str, Callable[[int], tuple[chain_fixture.Receipt, bytes]]]:
        """Return each way by its name."""
        return {
            SIMPLE: functools.partial(self._pay, self.simple, _execute_simple),
            ERC7579: functools.partial(self._pay, self.erc7579, _execute_7579),
        }

    def _pay(
        self, paying: list[Account], execute: Callable[[bytes, bytes], bytes], size: int
    ) -> tuple[chain_fixture.Receipt, bytes]:
        transfer = tokens.encode_transfer(to=PAYEE, amount_units=AMOUNT_UNITS)
        call_data = execute(self.chain.deployment.stablecoin, transfer)
        return self.send([self._operation(account, call_data) for account in paying[:size]])

    def send(self, operations: Sequence[user_operations.UserOperation]) -> tuple[chain_fixture.Receipt, bytes]:
        """Send a bundle of payments and return its receipt and calldata."""
        relayer = chain_fixture.RELAYER.address
        data = user_operations.encode_handle_ops(operations=operations, beneficiary=relayer)
        before = self.chain.balance(self.chain.deployment.stablecoin, PAYEE)
        receipt = self.chain.handle_ops(*operations)
        moved = self.chain.balance(self.chain.deployment.stablecoin, PAYEE) - before
        if moved != len(operations) * AMOUNT_UNITS:
            message = f"the peers' bundle moved {moved}"
            raise RuntimeError(message)
        return receipt, data

    def unsigned(self, account: Account, call_data: bytes) -> user_operations.UserOperation:
        """Return an operation whose fee the paymaster takes in the token."""
        return user_operations.UserOperation(
            sender=account.address,
            nonce=self.chain.nonce(account.address),
            call_data=call_data,
            verification_gas_limit=100_000,
            call_gas_limit=90_000,
            pre_verification_gas=60_000,
            max_priority_fee_per_gas=10**9,
            max_fee_per_gas=2 * 10**9,
            paymaster_and_data=self.paymaster + (120_000).to_bytes(16, "big") + (80_000).to_bytes(16, "big"),
        )

    def _operation(self, account: Account, call_data: bytes) -> user_operations.UserOperation:
        operation = self.unsigned(account, call_data)
        digest = user_operations.hash_user_operation(
            operation=operation, chain_id=self.chain.chain_id, entry_point=self.chain.deployment.entry_point
        )
        return dataclasses.replace(operation, signature=words.signature(account.owner.sign(digest)))

    def _make_simple(self, number: int) -> Account:
        owner = chain_fixture.Key(words.keccak(b"simple %d" % number))
        arguments = words.address(owner.address) + words.uint(0)
        found = self.chain.call(self.simple_factory, _ACCOUNT_ADDRESS + arguments)[12:]
        creator = self.chain.call(self.chain.deployment.entry_point, words.selector("senderCreator()"))[12:]
        self.chain.rpc("anvil_setBalance", words.checksummed(creator), hex(chain_fixture.ETHER))
        receipt = self.chain.send(self.simple_factory, _CREATE_SIMPLE + arguments, sender=creator)
        if not receipt.succeeded:
            message = "SimpleAccount was not created"
            raise RuntimeError(message)
        return self.fund(Account(found, owner))

    def _make_7579(self, number: int) -> Account:
        owner = chain_fixture.Key(words.keccak(b"7579 %d" % number))
        initialize = words.dynamic(_INITIALIZE + words.address(owner.address))
        arguments = words.arguments((words.address(self.implementation), initialize))
        return self.fund(Account(chain_fixture.create(self.chain, "PeerProxy", arguments), owner))

    def fund(self, account: Account) -> Account:
        """Give tokens, and let the paymaster take the fee."""
        self.chain.give(account.address, 10**12)
        self.chain.rpc("anvil_setBalance", words.checksummed(account.address), hex(chain_fixture.ETHER))
        approve = tokens.encode_approve(spender=self.paymaster, amount_units=2**256 - 1)
        self.chain.send(self.chain.deployment.stablecoin, approve, sender=account.address)
        self.chain.rpc("anvil_setBalance", words.checksummed(account.address), "0x0")
        return account

    def _send(self, to: bytes, data: bytes, *, value_wei: int = 0) -> None:
        if not self.chain.send(to, data, sender=chain_fixture.DEPLOYER.address, value_wei=value_wei).succeeded:
            message = "a transaction that prepares the peers failed"
            raise RuntimeError(message)


def _execute_simple(to: bytes, data: bytes) -> bytes:
    return _EXECUTE_SIMPLE + words.arguments((words.address(to), words.uint(0), words.dynamic(data)))


def _execute_7579(to: bytes, data: bytes) -> bytes:
    return _EXECUTE_7579 + words.arguments((bytes(32), words.dynamic(to + words.uint(0) + data)))
