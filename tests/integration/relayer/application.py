"""An application with a key to the bundler, and the account that its user owns."""

import dataclasses
import json
import os
from typing import Any

from django.test import client

from contracts.bindings import accounts, tokens, user_operations, words
from openvpp.core import clock
from relayer import models
from relayer.domain import wire
from relayer.usecases import make_api_key
from tests import chain_fixture
from tests.integration.relayer import conftest

ENTRY_POINT = "0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108"
_SIMPLE_7702_ACCOUNT = (
    chain_fixture.ROOT / "contracts/node_modules/@account-abstraction/contracts/artifacts/Simple7702Account.json"
)
PAYEE = bytes.fromhex("00000000000000000000000000000000000be77e")


@dataclasses.dataclass
class Application:
    """What calls `/rpc/v1/<chain_id>` with its key."""

    chain: chain_fixture.Chain
    token: str
    key: models.ApiKey

    def post(self, body: object, **headers: str) -> Any:
        content = body if isinstance(body, str) else json.dumps(body)
        return client.Client().post(
            f"/rpc/v1/{self.chain.chain_id}",
            content,
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.token}"} | headers,
        )

    def ask(self, method: str, *parameters: object) -> dict[str, Any]:
        answer = self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": list(parameters)})
        found: dict[str, Any] = answer.json()
        assert found["id"] == 7
        return found

    def call(self, method: str, *parameters: object) -> Any:
        found = self.ask(method, *parameters)
        assert "error" not in found, found
        return found["result"]

    def code(self, method: str, *parameters: object) -> int:
        """Return the code of the error that a call is answered with."""
        found = self.ask(method, *parameters)
        assert "result" not in found, found
        return int(found["error"]["code"])


@dataclasses.dataclass
class Account:
    """An account of ours whose owner signs for itself."""

    application: Application
    owner: chain_fixture.Key
    salt: bytes

    @property
    def address(self) -> bytes:
        deployment = self.application.chain.deployment
        return accounts.account_address(
            factory=deployment.account_factory,
            implementation=deployment.account_implementation,
            owner=self.owner.address,
            salt=self.salt,
        )

    def operation(self, *calls: accounts.Call, **changes: Any) -> user_operations.UserOperation:
        """Build an operation with limits and prices of the bundler's own."""
        chain = self.application.chain
        is_deployed = bool(chain.code(self.address))
        factory = chain.deployment.account_factory
        prices = self.application.call("pimlico_getUserOperationGasPrice")["standard"]
        bare = user_operations.UserOperation(
            sender=self.address,
            nonce=chain.nonce(self.address),
            init_code=b""
            if is_deployed
            else accounts.init_code(factory=factory, owner=self.owner.address, salt=self.salt),
            call_data=accounts.encode_execute_batch(calls=calls or (transfer(chain, 1),)),
            verification_gas_limit=0,
            call_gas_limit=0,
            pre_verification_gas=0,
            max_priority_fee_per_gas=int(prices["maxPriorityFeePerGas"], 16),
            max_fee_per_gas=int(prices["maxFeePerGas"], 16),
            signature=b"\x00" + b"\x01" * 64 + b"\x1b",
        )
        found = self.application.call("eth_estimateUserOperationGas", wire.write_operation(bare), ENTRY_POINT)
        limited = dataclasses.replace(
            bare,
            verification_gas_limit=int(found["verificationGasLimit"], 16),
            call_gas_limit=int(found["callGasLimit"], 16),
            pre_verification_gas=int(found["preVerificationGas"], 16) + 4_000,
        )
        return dataclasses.replace(limited, **changes)

    def sponsored(
        self, operation: user_operations.UserOperation, context: object = None
    ) -> user_operations.UserOperation:
        """Return the operation with the utility's leave in it."""
        found = self.application.call(
            "pm_getPaymasterData",
            wire.write_operation(operation),
            ENTRY_POINT,
            hex(self.application.chain.chain_id),
            context,
        )
        data = words.parse_address(found["paymaster"]) + b"".join(
            int(found[name], 16).to_bytes(16) for name in ("paymasterVerificationGasLimit", "paymasterPostOpGasLimit")
        )
        return dataclasses.replace(operation, paymaster_and_data=data + bytes.fromhex(found["paymasterData"][2:]))

    def signed(self, operation: user_operations.UserOperation) -> dict[str, str]:
        """Return the operation as it is sent."""
        chain = self.application.chain
        hash_ = user_operations.hash_user_operation(
            operation=operation, chain_id=chain.chain_id, entry_point=chain.deployment.entry_point
        )
        signature = b"\x00" + words.signature(self.owner.sign(hash_))
        return wire.write_operation(dataclasses.replace(operation, signature=signature))


def transfer(chain: chain_fixture.Chain, units: int, *, to: bytes = PAYEE) -> accounts.Call:
    return accounts.Call(to=chain.deployment.stablecoin, data=tokens.encode_transfer(to=to, amount_units=units))


def make(relayer: conftest.Relayer, **limits: Any) -> Application:
    """Make a key with every scope for the fixture's utility."""
    scopes = limits.pop("scopes", models.ApiKey.Scope.values)
    key, token = make_api_key.make(
        utility_id=relayer.utility.pk, application="Tests", scopes=scopes, now=clock.get_now(), **limits
    )
    return Application(chain=relayer.chain, token=token, key=key)


def open_account(application: Application, *, units: int = 10**9) -> Account:
    """Return an account that holds stablecoins and is not deployed yet."""
    account = Account(application=application, owner=chain_fixture.Key(os.urandom(32)), salt=os.urandom(32))
    application.chain.give(account.address, units)
    return account


def simple_7702_account(chain: chain_fixture.Chain) -> bytes:
    """Deploy the code that accounts of others run by EIP-7702: the Simple7702Account of EntryPoint v0.8."""
    built = json.loads(_SIMPLE_7702_ACCOUNT.read_text())
    return chain_fixture.create_code(chain, bytes.fromhex(built["bytecode"][2:]))
