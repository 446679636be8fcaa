"""Our own ways to pay, for the gas benchmark."""

import dataclasses
import functools
from collections.abc import Callable

from contracts.bindings import accounts, lane, paymaster, payments, sessions, tokens, user_operations, words
from tests import chain_fixture
from tests.chain import payer as payers

PAYEE = payers.PAYEE
CHEAP = "EntryPoint: fee in the bill's token, our relayer (cheap mode)"
LANE = "bill lane: fee in the bill's token"

_LIMIT = 10**12
_LIMITS = {"verification_gas_limit": 60_000, "call_gas_limit": 90_000}
_STABLECOIN, _OVPP, _UTILITY = paymaster.FeeMode.STABLECOIN, paymaster.FeeMode.OVPP, paymaster.FeeMode.UTILITY
_BALANCES_SLOT = 0


class Ours:
    """Accounts that have each paid once already, by both tokens."""

    def __init__(self, chain: chain_fixture.Chain, *, accounts: int) -> None:
        self.chain = chain
        self.counter = 0
        deployment = chain.deployment
        for data, value in (
            (paymaster.encode_deposit(), chain_fixture.ETHER),
            (paymaster.encode_set_budget(utility_id=chain_fixture.UTILITY_ID, budget_wei=chain_fixture.ETHER), 0),
            (
                paymaster.encode_set_allowance(
                    relayer=chain_fixture.RELAYER.address, max_fee_per_gas_wei=10**10, max_cost_wei=10**16
                ),
                0,
            ),
        ):
            self._owner(deployment.relay_paymaster, data, value)
        self.payers = [self._payer(i) for i in range(accounts)]
        self.proxied = [self._with_token(payer, self._proxy_token()) for payer in self.payers]
        for payer in self.payers:
            self._sent(self.chain.handle_ops(payer.pay_operation(_OVPP, self._payment(payer, _OVPP))))
        self._hold(self.proxied)

    def ways(self) -> dict[str, Callable[[int], tuple[chain_fixture.Receipt, bytes]]]:
        """Return each way by its name."""
        return {
            CHEAP: functools.partial(self._bundle, _STABLECOIN, None),
            "EntryPoint: fee in $OVPP, our relayer": functools.partial(self._bundle, _OVPP, None),
            "EntryPoint: utility absorbs, charged to its budget, our relayer": functools.partial(
                self._bundle, _UTILITY, chain_fixture.UTILITY_ID
            ),
            "EntryPoint: token behind a proxy (USDC-shaped), our relayer": self._proxied_bundle,
            "EntryPoint: fee in the bill's token, any bundler (portable mode)": functools.partial(
                self._portable, _STABLECOIN
            ),
            "EntryPoint: fee in $OVPP, any bundler (portable mode)": functools.partial(self._portable, _OVPP),
            LANE: functools.partial(self._lane, _STABLECOIN),
            "bill lane: fee in $OVPP": functools.partial(self._lane, _OVPP),
        }

    def onboarding(self) -> int:
        """Return the gas of deploying an account and installing its first session."""
        payer = payers.make(self.chain, "newcomer")
        data = accounts.encode_create_account_with_session(
            owner=payer.owner.address,
            salt=payer.salt,
            policy=payer.policy,
            leave=payer.leave(),
        )
        factory = self.chain.deployment.account_factory
        return self._sent(self.chain.send(factory, data, sender=chain_fixture.RELAYER.address)).gas_used

    def payout_batch(self, size: int) -> int:
        """Return the gas of a batch that pays `size` holders who have a balance already."""
        deployment = self.chain.deployment
        holders = tuple(words.keccak(b"holder%d" % i)[12:] for i in range(size))
        for holder in holders:
            self.chain.give(holder, 1)
        payer = chain_fixture.DEPLOYER.address
        self.chain.give(payer, 10**12)
        self._owner(deployment.stablecoin, tokens.encode_approve(spender=deployment.payouts, amount_units=2**256 - 1))
        used = 0
        for name in (b"first", b"second"):
            batch = tokens.PayoutBatch(
                reference=words.keccak(name)[:16],
                token=deployment.stablecoin,
                recipients=holders,
                amounts_units=tuple(1_000 + i for i in range(size)),
            )
            data = tokens.encode_pay_packed(batch=batch)
            used = self._sent(self.chain.send(deployment.payouts, data, sender=payer)).gas_used
        return used

    def _bundle(
        self, mode: paymaster.FeeMode, utility_id: int | None, size: int
    ) -> tuple[chain_fixture.Receipt, bytes]:
        return self._handle([self._relayed(payer, mode, utility_id) for payer in self.payers[:size]])

    def _proxied_bundle(self, size: int) -> tuple[chain_fixture.Receipt, bytes]:
        return self._handle([self._relayed(payer, _STABLECOIN, None) for payer in self.proxied[:size]])

    def _portable(self, mode: paymaster.FeeMode, size: int) -> tuple[chain_fixture.Receipt, bytes]:
        operations = []
        for payer in self.payers[:size]:
            payment = self._payment(payer, mode)
            call_data = payments.encode_pay_bill(payment=payment)
            operation = payer.operation(call_data, mode=mode, fee_units=payment.fee_units, nonce=None, **_LIMITS)
            operations.append(payer.signed_by_key(operation, installs=False))
        return self._handle(operations)

    def _relayed(
        self, payer: payers.Payer, mode: paymaster.FeeMode, utility_id: int | None
    ) -> user_operations.UserOperation:
        call_data = payments.encode_pay_bill(payment=self._payment(payer, mode))
        operation = payer.operation(call_data, mode=_UTILITY, fee_units=0, nonce=None, **_LIMITS)
        data = paymaster.encode_relayed_data(
            relay_paymaster=self.chain.deployment.relay_paymaster,
            verification_gas_limit=40_000,
            post_op_gas_limit=0 if utility_id is None else 20_000,
            utility_id=utility_id,
        )
        return payer.signed_by_key(dataclasses.replace(operation, paymaster_and_data=data), installs=False)

    def _lane(self, mode: paymaster.FeeMode, size: int) -> tuple[chain_fixture.Receipt, bytes]:
        deadline = self.chain.now() + 600
        intents = []
        for payer in self.payers[:size]:
            payment = self._payment(payer, mode)
            digest = payments.bill_payment_digest(
                payment=payment,
                sequence=payer.session().lane_sequence,
                deadline=deadline,
                chain_id=self.chain.chain_id,
                account=payer.account,
            )
            intents.append(
                lane.Intent(
                    account=payer.account, payment=payment, deadline=deadline, key_signature=payer.key.sign(digest)
                )
            )
        data = lane.encode_pay_bills(intents=intents, gas_for_each=120_000)
        receipt = self.chain.send(self.chain.deployment.bill_lane, data, sender=chain_fixture.SPONSOR.address)
        return self._sent(receipt, payments_in=size), data

    def _handle(self, operations: list[user_operations.UserOperation]) -> tuple[chain_fixture.Receipt, bytes]:
        relayer = chain_fixture.RELAYER.address
        data = user_operations.encode_handle_ops(operations=operations, beneficiary=relayer)
        return self._sent(self.chain.handle_ops(*operations), payments_in=len(operations)), data

    def _payment(self, payer: payers.Payer, mode: paymaster.FeeMode) -> payments.BillPayment:
        self.counter += 1
        return payer.payment(mode, amount_units=1_234_567, name=f"payment {self.counter}")

    def _payer(self, number: int) -> payers.Payer:
        return payers.make(
            self.chain,
            f"payer {number}",
            max_per_payment_units=_LIMIT,
            max_per_period_units=_LIMIT,
            max_total_units=_LIMIT,
            salt=1_000_000 + number,
        )

    @functools.cache  # noqa: B019 - one benchmark, one instance
    def _proxy_token(self) -> bytes:
        deployment = self.chain.deployment
        arguments = words.arguments((words.address(deployment.stablecoin), words.dynamic(tokens.encode_decimals())))
        return chain_fixture.create(self.chain, "PeerProxy", arguments)

    def _with_token(self, payer: payers.Payer, token: bytes) -> payers.Payer:
        policy: sessions.SessionPolicy = dataclasses.replace(payer.policy, token=token)
        return dataclasses.replace(payer, policy=policy)

    def _hold(self, proxied: list[payers.Payer]) -> None:
        """Give balances of the proxied token by writing them, and pay once with it."""
        token = self._proxy_token()
        for holder in (PAYEE, *(payer.account for payer in proxied)):
            slot = words.keccak(words.address(holder) + words.uint(_BALANCES_SLOT))
            value = "0x" + words.uint(10**12).hex()
            self.chain.rpc("anvil_setStorageAt", words.checksummed(token), "0x" + slot.hex(), value)
        for payer in proxied:
            self._sent(self.chain.handle_ops(payer.pay_operation(_UTILITY, self._payment(payer, _UTILITY))))

    def _owner(self, to: bytes, data: bytes, value_wei: int = 0) -> None:
        self._sent(self.chain.send(to, data, sender=chain_fixture.DEPLOYER.address, value_wei=value_wei))

    def _sent(self, receipt: chain_fixture.Receipt, *, payments_in: int | None = None) -> chain_fixture.Receipt:
        return sent(receipt, payments_in=payments_in)


def sent(receipt: chain_fixture.Receipt, *, payments_in: int | None = None) -> chain_fixture.Receipt:
    """Return the receipt of a transaction that did what it should: so many bills paid.

    :raises RuntimeError: if it did not.
    """
    paid = sum(type(event).__name__ == "BillPaid" for event in receipt.logs)
    if not receipt.succeeded or (payments_in is not None and paid != payments_in):
        message = f"{receipt.transaction_hash} failed, or paid {paid} bills instead of {payments_in}"
        raise RuntimeError(message)
    return receipt
