"""Our own ways to pay, for the gas benchmark."""

import dataclasses
import functools
from collections.abc import Callable

from contracts.bindings import accounts, claims, lane, paymaster, payments, sessions, tokens, user_operations, words
from tests import chain_fixture
from tests.chain import payer as payers

PAYEE = payers.PAYEE
CHEAP = "EntryPoint: fee in the bill's token, our relayer (cheap mode)"
LANE = "bill lane: fee in the bill's token"

PROGRAM_ID = 3
# A policy that no payment of the benchmark comes near to.
WIDE = {"max_per_payment_units": 10**12, "max_per_period_units": 10**12, "max_total_units": 10**12}

_LIMITS = {"verification_gas_limit": 60_000, "call_gas_limit": 90_000}
_STABLECOIN, _OVPP, _UTILITY = paymaster.FeeMode.STABLECOIN, paymaster.FeeMode.OVPP, paymaster.FeeMode.UTILITY


class Ours:
    """Accounts that have each paid once already, by both tokens."""

    def __init__(self, chain: chain_fixture.Chain, *, accounts: int) -> None:
        self.chain = chain
        self.counter = 0
        prepare_relay(chain)
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
            "EntryPoint: the same for a program, limited per operation and day": self._limited_bundle,
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

    def claim(self, size: int) -> int:
        """Return the gas of claiming one payout of a round of `size`, by a holder who has a balance already."""
        deployment = self.chain.deployment
        funder = chain_fixture.DEPLOYER.address
        round_ = claims.Round(
            chain_id=self.chain.chain_id,
            contract=deployment.payout_claims,
            funder=funder,
            reference=words.keccak(b"round")[:16],
            claims=tuple(
                claims.Claim(account=words.keccak(b"holder%d" % i)[12:], amount_units=1_000 + i) for i in range(size)
            ),
        )
        self.chain.give(funder, round_.amount_units)
        allowed = tokens.encode_approve(spender=deployment.payout_claims, amount_units=round_.amount_units)
        self._owner(deployment.stablecoin, allowed)
        expires_at = self.chain.now() + 86_400
        data = claims.encode_open(round_=round_, token=deployment.stablecoin, expires_at=expires_at)
        self._owner(deployment.payout_claims, data)
        used = 0
        for index in (size // 2, size // 2 + 1):
            self.chain.give(round_.claims[index].account, 1)
            data = claims.encode_claim(round_=round_, index=index)
            receipt = self.chain.send(deployment.payout_claims, data, sender=chain_fixture.RELAYER.address)
            used = self._sent(receipt).gas_used
        return used

    def _bundle(
        self, mode: paymaster.FeeMode, utility_id: int | None, size: int
    ) -> tuple[chain_fixture.Receipt, bytes]:
        return self._handle([self._relayed(payer, mode, utility_id) for payer in self.payers[:size]])

    def _limited_bundle(self, size: int) -> tuple[chain_fixture.Receipt, bytes]:
        """Send a bundle charged to a program's budget too, both budgets limited; the limits are lifted again."""
        relay = self.chain.deployment.relay_paymaster
        utility_id, most = chain_fixture.UTILITY_ID, chain_fixture.ETHER
        self._owner(
            relay, paymaster.encode_set_budget(utility_id=utility_id, program_id=PROGRAM_ID, budget_wei=most // 2)
        )
        self._limit(most)
        operations = [self._relayed(payer, _UTILITY, utility_id, PROGRAM_ID) for payer in self.payers[:size]]
        handled = self._handle(operations)
        self._limit(0)
        return handled

    def _limit(self, limit_wei: int) -> None:
        for program_id in (0, PROGRAM_ID):
            data = paymaster.encode_set_limits(
                utility_id=chain_fixture.UTILITY_ID,
                program_id=program_id,
                max_per_operation_wei=limit_wei,
                max_per_day_wei=limit_wei,
            )
            self._owner(self.chain.deployment.relay_paymaster, data)

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
        self, payer: payers.Payer, mode: paymaster.FeeMode, utility_id: int | None, program_id: int = 0
    ) -> user_operations.UserOperation:
        call_data = payments.encode_pay_bill(payment=self._payment(payer, mode))
        operation = payer.operation(call_data, mode=_UTILITY, fee_units=0, nonce=None, **_LIMITS)
        data = paymaster.encode_relayed_data(
            relay_paymaster=self.chain.deployment.relay_paymaster,
            verification_gas_limit=40_000,
            post_op_gas_limit=0 if utility_id is None else 20_000,
            utility_id=utility_id,
            program_id=program_id,
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
        return payers.make(self.chain, f"payer {number}", **WIDE, salt=1_000_000 + number)

    @functools.cache  # noqa: B019 - one benchmark, one instance
    def _proxy_token(self) -> bytes:
        implementation = chain_fixture.create(self.chain, "PeerFiatToken", b"", source="Fiat")
        return chain_fixture.create(self.chain, "PeerFiatProxy", words.address(implementation), source="Fiat")

    def _with_token(self, payer: payers.Payer, token: bytes) -> payers.Payer:
        policy: sessions.SessionPolicy = dataclasses.replace(payer.policy, token=token)
        return dataclasses.replace(payer, policy=policy)

    def _hold(self, proxied: list[payers.Payer]) -> None:
        """Give balances of the proxied token, and pay once with it."""
        token = self._proxy_token()
        for holder in (PAYEE, *(payer.account for payer in proxied)):
            data = tokens.encode_mint(to=holder, amount_units=10**12)
            self._sent(self.chain.send(token, data, sender=chain_fixture.RELAYER.address))
        for payer in proxied:
            self._sent(self.chain.handle_ops(payer.pay_operation(_UTILITY, self._payment(payer, _UTILITY))))

    def _owner(self, to: bytes, data: bytes) -> None:
        self._sent(self.chain.send(to, data, sender=chain_fixture.DEPLOYER.address))

    def _sent(self, receipt: chain_fixture.Receipt, *, payments_in: int | None = None) -> chain_fixture.Receipt:
        return sent(receipt, payments_in=payments_in)


def prepare_relay(chain: chain_fixture.Chain) -> None:
    """Have the relayer's own paymaster trust the relayer, with a deposit and a budget of the utility's."""
    allowance = paymaster.encode_set_allowance(
        relayer=chain_fixture.RELAYER.address, max_fee_per_gas_wei=10**10, max_cost_wei=10**16
    )
    budget = paymaster.encode_set_budget(utility_id=chain_fixture.UTILITY_ID, budget_wei=chain_fixture.ETHER)
    relay, owner = chain.deployment.relay_paymaster, chain_fixture.DEPLOYER.address
    sent(chain.send(relay, paymaster.encode_deposit(), sender=owner, value_wei=chain_fixture.ETHER))
    sent(chain.send(relay, budget, sender=owner))
    sent(chain.send(relay, allowance, sender=owner))


def sent(receipt: chain_fixture.Receipt, *, payments_in: int | None = None) -> chain_fixture.Receipt:
    """Return the receipt of a transaction that did what it should: so many bills paid.

    :raises RuntimeError: if it did not.
    """
    paid = sum(type(event).__name__ == "BillPaid" for event in receipt.logs)
    if not receipt.succeeded or (payments_in is not None and paid != payments_in):
        message = f"{receipt.transaction_hash} failed, or paid {paid} bills instead of {payments_in}"
        raise RuntimeError(message)
    return receipt
