"""Somebody's account with a key and, at first, no code: it runs another's by EIP-7702."""

import dataclasses
import os
from typing import Any

from contracts.bindings import accounts, delegations, user_operations, words
from relayer.domain import wire
from tests import chain_fixture
from tests.integration.relayer import application as applications

_EXECUTE = words.selector("execute(address,uint256,bytes)")


@dataclasses.dataclass
class Account:
    """An account that says that it runs `delegate`'s code."""

    application: applications.Application
    delegate: bytes
    owner: chain_fixture.Key = dataclasses.field(default_factory=lambda: chain_fixture.Key(os.urandom(32)))

    @property
    def address(self) -> bytes:
        return self.owner.address

    def authorization(self, **changes: Any) -> delegations.Authorization:
        """Return the account's word, with changes signed too."""
        chain = self.application.chain
        nonce = int(str(chain.rpc("eth_getTransactionCount", words.checksummed(self.address), "latest")), 16)
        terms: dict[str, Any] = {"chain_id": chain.chain_id, "delegate": self.delegate, "nonce": nonce} | changes
        bare = delegations.Authorization(**terms, signature=bytes(65))
        return dataclasses.replace(bare, signature=self.owner.sign(bare.digest()))

    def sent(
        self,
        call: accounts.Call | None = None,
        *,
        authorization: delegations.Authorization | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Return a sponsored, signed operation as it is sent, made with its factory 0x7702 where it brings its word."""
        chain, call_app = self.application.chain, self.application.call
        call = call or applications.transfer(chain, 1)
        prices = call_app("pimlico_getUserOperationGasPrice")["fast"]
        bare = user_operations.UserOperation(
            sender=self.address,
            nonce=chain.nonce(self.address),
            init_code=user_operations.EIP7702_MARKER if authorization is not None else b"",
            call_data=_EXECUTE
            + words.arguments((words.address(call.to), words.uint(call.value_wei), words.dynamic(call.data))),
            verification_gas_limit=0,
            call_gas_limit=0,
            pre_verification_gas=0,
            max_priority_fee_per_gas=int(prices["maxPriorityFeePerGas"], 16),
            max_fee_per_gas=int(prices["maxFeePerGas"], 16),
            signature=words.signature(self.owner.sign(bytes(32))),
        )
        bare = dataclasses.replace(bare, **{name: changes.pop(name) for name in ("nonce",) if name in changes})
        asked = wire.write_operation(bare, authorization)
        found = call_app("eth_estimateUserOperationGas", asked, applications.ENTRY_POINT)
        limited = dataclasses.replace(
            bare,
            verification_gas_limit=int(found["verificationGasLimit"], 16),
            call_gas_limit=int(found["callGasLimit"], 16),
            pre_verification_gas=int(found["preVerificationGas"], 16) + 4_000,
        )
        limited = dataclasses.replace(limited, **changes)
        paid = call_app(
            "pm_getPaymasterData",
            wire.write_operation(limited, authorization),
            applications.ENTRY_POINT,
            hex(chain.chain_id),
            None,
        )
        data = words.parse_address(paid["paymaster"]) + b"".join(
            int(paid[name], 16).to_bytes(16) for name in ("paymasterVerificationGasLimit", "paymasterPostOpGasLimit")
        )
        sponsored = dataclasses.replace(limited, paymaster_and_data=data + bytes.fromhex(paid["paymasterData"][2:]))
        hash_ = wire.Received(operation=sponsored, authorization=authorization).hash(
            chain_id=chain.chain_id, entry_point=chain.deployment.entry_point
        )
        signed = dataclasses.replace(sponsored, signature=words.signature(self.owner.sign(hash_)))
        return wire.write_operation(signed, authorization)
