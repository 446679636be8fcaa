"""A customer's account on the test chain, which pays bills in any fee mode."""

import dataclasses

from contracts.bindings import accounts, paymaster, payments, sessions, user_operations, words
from tests import chain_fixture

PAYEE = bytes.fromhex("00000000000000000000000000000000000beefe")
GAS_PRICE_WEI = 2 * 10**9
ONE = 10**6
CONSENT = words.keccak(b"frozen terms")


@dataclasses.dataclass(frozen=True)
class Payer:
    """An account with an owner, a session key and a policy."""

    chain: chain_fixture.Chain
    owner: chain_fixture.Key
    key: chain_fixture.Key
    salt: bytes
    policy: sessions.SessionPolicy

    @property
    def account(self) -> bytes:
        deployment = self.chain.deployment
        return accounts.account_address(
            factory=deployment.account_factory,
            implementation=deployment.account_implementation,
            owner=self.owner.address,
            salt=self.salt,
        )

    def session(self) -> accounts.SessionState:
        """Return where the session stands on chain."""
        data = accounts.encode_session(session_id=sessions.session_id(policy=self.policy))
        return accounts.decode_session(result=self.chain.call(self.account, data))

    def leave(self) -> bytes:
        """Return the owner's leave that installs the session."""
        digest = sessions.session_install_digest(
            policy=self.policy, consent=CONSENT, chain_id=self.chain.chain_id, account=self.account
        )
        return sessions.encode_leave(consent=CONSENT, owner_signature=self.owner.sign(digest))

    def operation(
        self,
        call_data: bytes,
        *,
        mode: paymaster.FeeMode = paymaster.FeeMode.STABLECOIN,
        fee_units: int = 0,
        nonce: int | None = None,
        **changes: int,
    ) -> user_operations.UserOperation:
        """Return an operation sponsored and not yet signed; `changes` are gas limits, or of the sponsorship."""
        deployment = self.chain.deployment
        is_deployed = bool(self.chain.code(self.account))
        operation = user_operations.UserOperation(
            sender=self.account,
            nonce=self.chain.nonce(self.account) if nonce is None else nonce,
            init_code=b""
            if is_deployed
            else accounts.init_code(factory=deployment.account_factory, owner=self.owner.address, salt=self.salt),
            call_data=call_data,
            verification_gas_limit=changes.get("verification_gas_limit", 350_000),
            call_gas_limit=changes.get("call_gas_limit", 150_000),
            pre_verification_gas=60_000,
            max_priority_fee_per_gas=10**9,
            max_fee_per_gas=GAS_PRICE_WEI,
        )
        now = self.chain.now()
        sponsorship = paymaster.Sponsorship(
            paymaster=deployment.paymaster,
            mode=mode,
            utility_id=chain_fixture.UTILITY_ID,
            program_id=changes.get("program_id", 0),
            valid_after=changes.get("valid_after", now - 60),
            valid_until=now + 3_500,
            fee_units=fee_units,
            verification_gas_limit=60_000,
            post_op_gas_limit=25_000,
        )
        digest = paymaster.sponsor_digest(operation=operation, sponsorship=sponsorship, chain_id=self.chain.chain_id)
        return paymaster.sponsored(
            operation=operation,
            sponsorship=sponsorship,
            sponsor_signature=chain_fixture.SPONSOR.sign(digest),
        )

    def hash(self, operation: user_operations.UserOperation) -> bytes:
        """Return the hash that the operation's signer signs."""
        return user_operations.hash_user_operation(
            operation=operation, chain_id=self.chain.chain_id, entry_point=self.chain.deployment.entry_point
        )

    def signed_by_key(
        self, operation: user_operations.UserOperation, *, installs: bool = True
    ) -> user_operations.UserOperation:
        """Return the operation signed by the session key, with the owner's install signature unless told not."""
        signature = sessions.encode_session_signature(
            key_signature=self.key.sign(self.hash(operation)),
            leave=self.leave() if installs else None,
        )
        return dataclasses.replace(operation, signature=signature)

    def signed_by_owner(self, operation: user_operations.UserOperation) -> user_operations.UserOperation:
        """Return the operation signed by the owner."""
        signature = sessions.encode_owner_signature(owner_signature=self.owner.sign(self.hash(operation)))
        return dataclasses.replace(operation, signature=signature)

    def payment(
        self, mode: paymaster.FeeMode, *, amount_units: int = 50 * ONE, fee_units: int | None = None, name: str = "one"
    ) -> payments.BillPayment:
        """Return a payment with the fee that its mode takes."""
        fees = {paymaster.FeeMode.OVPP: 10**18, paymaster.FeeMode.STABLECOIN: 30_000, paymaster.FeeMode.UTILITY: 0}
        return payments.BillPayment(
            policy=self.policy,
            reference=words.keccak(name.encode())[:16],
            amount_units=amount_units,
            fee_units=fees[mode] if fee_units is None else fee_units,
            in_fee_token=mode is paymaster.FeeMode.OVPP,
        )

    def pay_operation(
        self, mode: paymaster.FeeMode, payment: payments.BillPayment, *, installs: bool = True
    ) -> user_operations.UserOperation:
        """Return the signed operation that makes a payment."""
        call_data = payments.encode_pay_bill(payment=payment)
        return self.signed_by_key(self.operation(call_data, mode=mode, fee_units=payment.fee_units), installs=installs)


def make(chain: chain_fixture.Chain, name: str = "ada", **changes: int) -> Payer:
    """Return an account, not deployed, with 1,000 stablecoins and 100 $OVPP.

    Its policy allows 100 a payment, 150 a month, 300 in all, and fees of 1 and 10; `changes` replace its fields.
    """
    key = chain_fixture.Key(words.keccak(f"{name} key".encode()))
    now = chain.now()
    fields: dict[str, int] = {
        "max_per_payment_units": 100 * ONE,
        "max_per_period_units": 150 * ONE,
        "max_total_units": 300 * ONE,
        "max_fee_units": ONE,
        "max_fee_in_fee_token_units": 10 * 10**18,
        "starts_at": now - 10,
        "ends_at": now + 365 * 86_400,
        "period_seconds": 30 * 86_400,
        "salt": 1,
    }
    payer = Payer(
        chain=chain,
        owner=chain_fixture.Key(words.keccak(f"{name} owner".encode())),
        key=key,
        salt=words.keccak(f"{name} salt".encode()),
        policy=sessions.SessionPolicy(
            key=key.address,
            payee=PAYEE,
            token=chain.deployment.stablecoin,
            fee_token=chain.deployment.ovpp,
            **(fields | changes),
        ),
    )
    chain.give(payer.account, 1_000 * ONE)
    chain.give_ovpp(payer.account, 100 * 10**18)
    return payer
