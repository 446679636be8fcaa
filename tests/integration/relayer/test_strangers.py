"""Accounts that are not ours: traced for what ERC-7562 forbids when they come in, looked at again for the bundle."""

import dataclasses
import json
import os

import pytest

from contracts.bindings import user_operations, words
from relayer import models
from relayer.domain import wire
from tests import chain_fixture
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)

# Says yes to everything: PUSH0 PUSH0 MSTORE PUSH1 32 PUSH0 RETURN; the others first look at what they must not.
YES = "5f5f5260205ff3"
ASKS_THE_TIME = "4250" + YES
ARTIFACTS = chain_fixture.ROOT / "contracts/node_modules/@account-abstraction/contracts/artifacts"
CREATE_ACCOUNT = words.selector("createAccount(address,uint256)")
GET_ADDRESS = words.selector("getAddress(address,uint256)")
EXECUTE = words.selector("execute(address,uint256,bytes)")


@dataclasses.dataclass
class Stranger:
    """An account at an address of its own, with whatever code."""

    application: applications.Application
    address: bytes

    def set_code(self, code: str) -> None:
        self.application.chain.rpc("anvil_setCode", words.checksummed(self.address), "0x" + code)

    def operation(self, **changes: object) -> user_operations.UserOperation:
        """Return a sponsored operation."""
        prices = self.application.call("pimlico_getUserOperationGasPrice")["standard"]
        bare = user_operations.UserOperation(
            sender=self.address,
            nonce=0,
            call_data=b"",
            verification_gas_limit=600_000,
            call_gas_limit=100_000,
            pre_verification_gas=80_000,
            max_priority_fee_per_gas=int(prices["maxPriorityFeePerGas"], 16),
            max_fee_per_gas=int(prices["maxFeePerGas"], 16),
        )
        account = applications.Account(application=self.application, owner=chain_fixture.RELAYER, salt=bytes(32))
        return account.sponsored(dataclasses.replace(bare, **changes))  # type: ignore[arg-type] # fields by name

    def send(self) -> dict[str, object]:
        sent = wire.write_operation(self.operation())
        return self.application.ask("eth_sendUserOperation", sent, applications.ENTRY_POINT)


@pytest.fixture
def stranger(relayer: Relayer) -> Stranger:
    return Stranger(application=applications.make(relayer), address=os.urandom(20))


def test_one_that_keeps_the_rules_is_traced_and_lands(relayer: Relayer, stranger: Stranger) -> None:
    stranger.set_code(YES)
    hash_ = stranger.send()["result"]
    row = models.UserOperation.objects.get()
    assert (row.hash, row.validation) == (hash_, "traced")
    assert words.checksummed(stranger.address) in (row.marks or {})
    relayer.finish()
    row.refresh_from_db()
    assert (row.state, row.failure) == ("succeeded", "")


@pytest.mark.parametrize(("code", "what"), [(ASKS_THE_TIME, "TIMESTAMP"), ("5f5f55" + "3031" + "50" + YES, "BALANCE")])
def test_one_that_breaks_them_is_refused(stranger: Stranger, code: str, what: str) -> None:
    stranger.set_code(code)
    error = stranger.send()["error"]
    assert isinstance(error, dict)
    assert error["code"] in {-32502, -32505}
    assert what in error["message"]
    assert not models.UserOperation.objects.exists()


def test_a_paymaster_sees_what_the_accounts_validation_wrote(relayer: Relayer, stranger: Stranger) -> None:
    """Traced beside it and not after it, this paymaster would never be seen to ask for the time."""
    chain = relayer.chain
    entry_point = chain.deployment.entry_point
    paymaster = os.urandom(20)
    # The account writes 1 when the EntryPoint calls, and tells it to others.
    stranger.set_code(f"3373{entry_point.hex()}14602257" + "5f545f5260205ff3" + "5b60015f55" + YES)
    asks = f"60205f5f5f73{stranger.address.hex()}5afa50" + "5f5115602557" + ASKS_THE_TIME[:4] + "5b"
    chain.rpc("anvil_setCode", words.checksummed(paymaster), "0x" + asks + "60405f525f6020525f60405260605ff3")
    deposit = {
        "from": words.checksummed(chain_fixture.DEPLOYER.address),
        "to": words.checksummed(entry_point),
        "data": "0x" + user_operations.encode_deposit_to(account=paymaster).hex(),
        "value": hex(10**18),
    }
    assert chain.receipt(str(chain.rpc("eth_sendTransaction", deposit))).succeeded
    paid = paymaster + (100_000).to_bytes(16) + (0).to_bytes(16)
    sent = wire.write_operation(dataclasses.replace(stranger.operation(), paymaster_and_data=paid))
    error = stranger.application.ask("eth_sendUserOperation", sent, applications.ENTRY_POINT)["error"]
    assert (error["code"], "TIMESTAMP" in error["message"]) == (-32502, True), error
    assert not models.UserOperation.objects.exists()


def test_one_that_changes_its_code_is_found_out_before_it_is_sent(relayer: Relayer, stranger: Stranger) -> None:
    stranger.set_code(YES)
    stranger.send()
    stranger.set_code(ASKS_THE_TIME)
    relayer.turn()
    row = models.UserOperation.objects.get()
    assert row.state == "failed"
    assert "TIMESTAMP" in row.failure
    assert not models.Bundle.objects.exists()


def test_somebody_elses_factory_and_account(relayer: Relayer, stranger: Stranger) -> None:
    """The reference SimpleAccount of EntryPoint v0.8, deployed by its own factory with its first operation."""
    chain, app = relayer.chain, stranger.application
    code = json.loads((ARTIFACTS / "SimpleAccountFactory.json").read_text())["bytecode"]
    deployed = chain.rpc(
        "eth_sendTransaction",
        {
            "from": words.checksummed(chain_fixture.DEPLOYER.address),
            "data": code + words.address(chain.deployment.entry_point).hex(),
            "gas": hex(6_000_000),
        },
    )
    assert chain.receipt(str(deployed)).succeeded
    receipt = chain.rpc("eth_getTransactionReceipt", deployed)
    assert isinstance(receipt, dict)
    factory = words.parse_address(receipt["contractAddress"])
    owner = chain_fixture.Key(os.urandom(32))
    named = words.address(owner.address) + words.uint(5)
    sender = words.read_address(chain.call(factory, GET_ADDRESS + named), 0)
    chain.give(sender, 10)
    call = applications.transfer(chain, 3)
    account = Stranger(application=app, address=sender)
    operation = account.operation(
        init_code=factory + CREATE_ACCOUNT + named,
        call_data=EXECUTE + words.arguments((words.address(call.to), words.uint(0), words.dynamic(call.data))),
    )
    hash_ = user_operations.hash_user_operation(
        operation=operation, chain_id=chain.chain_id, entry_point=chain.deployment.entry_point
    )
    signed = dataclasses.replace(operation, signature=words.signature(owner.sign(hash_)))

    assert app.call("eth_sendUserOperation", wire.write_operation(signed), applications.ENTRY_POINT)

    assert models.UserOperation.objects.get().validation == "traced"
    reputation = models.Reputation.objects.get()
    assert (reputation.entity, reputation.seen, reputation.included) == (words.checksummed(factory), 1, 0)
    relayer.finish()
    assert models.UserOperation.objects.get().state == "succeeded"
    reputation.refresh_from_db()
    assert reputation.included == 1
    assert chain.balance(chain.deployment.stablecoin, applications.PAYEE) == 3
