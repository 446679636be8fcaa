"""Phones that pay: P-256 keys, for the gas benchmark; on a chain with the precompile, and on one without."""

import dataclasses
import functools
from collections.abc import Callable

from benchmarks import gas_ours
from contracts.bindings import paymaster, payments, sessions, user_operations
from tests import chain_fixture
from tests.chain import payer as payers
from tests.chain import phone as phones

PRECOMPILE = "EntryPoint: P-256 key of a phone, by the precompile, our relayer"
FALLBACK = "EntryPoint: P-256 key of a phone, without the precompile, our relayer"
# anvil has the precompile from Osaka on.
WITHOUT_PRECOMPILE = "--hardfork=prague"

_LIMITS = {"verification_gas_limit": 500_000, "call_gas_limit": 90_000}
_MODE = paymaster.FeeMode.STABLECOIN


class Phones:
    """Accounts whose session key is a phone's, and which have each paid once already."""

    def __init__(self, chain: chain_fixture.Chain, *, accounts: int) -> None:
        self.chain = chain
        self.counter = 0
        gas_ours.prepare_relay(chain)
        self.payers = [self._payer(number) for number in range(accounts)]
        for payer, phone in self.payers:
            gas_ours.sent(self._send([self._signed(payer, phone, leave=payer.leave())])[0], payments_in=1)

    def ways(self, name: str) -> dict[str, Callable[[int], tuple[chain_fixture.Receipt, bytes]]]:
        """Return the one way to pay, by its name on this chain."""
        return {name: functools.partial(self._bundle)}

    def _bundle(self, size: int) -> tuple[chain_fixture.Receipt, bytes]:
        receipt, data = self._send([self._signed(payer, phone) for payer, phone in self.payers[:size]])
        return gas_ours.sent(receipt, payments_in=size), data

    def _send(self, operations: list[user_operations.UserOperation]) -> tuple[chain_fixture.Receipt, bytes]:
        relayer = chain_fixture.RELAYER.address
        data = user_operations.encode_handle_ops(operations=operations, beneficiary=relayer)
        return self.chain.send(self.chain.deployment.entry_point, data, sender=relayer, gas=29_000_000), data

    def _signed(
        self, payer: payers.Payer, phone: phones.Phone, *, leave: bytes | None = None
    ) -> user_operations.UserOperation:
        self.counter += 1
        payment = payer.payment(_MODE, amount_units=1_234_567, name=f"phone payment {self.counter}")
        operation = payer.operation(
            payments.encode_pay_bill(payment=payment),
            mode=paymaster.FeeMode.UTILITY,
            **_LIMITS | ({"verification_gas_limit": 900_000} if leave else {}),
        )
        data = paymaster.encode_relayed_data(
            relay_paymaster=self.chain.deployment.relay_paymaster, verification_gas_limit=40_000
        )
        operation = dataclasses.replace(operation, paymaster_and_data=data)
        signature = sessions.encode_session_signature(key_signature=phone.sign(payer.hash(operation)), leave=leave)
        return dataclasses.replace(operation, signature=signature)

    def _payer(self, number: int) -> tuple[payers.Payer, phones.Phone]:
        phone = phones.Phone(1_000 + number)
        payer = payers.make(self.chain, f"phone {number}", **gas_ours.WIDE, salt=2_000_000 + number)
        return dataclasses.replace(payer, policy=dataclasses.replace(payer.policy, key=phone.address)), phone
