"""What a key may sign. A policy is sealed with its key; it answers `Allowed` or `Denied(code, reason)`.

Serialised policies carry a tag and are append-only: a changed meaning is a new tag.
"""

import dataclasses
import operator
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from contracts.bindings import accounts, delegations, payments, sessions, tokens, user_operations, words
from custody.domain import caps, control_calls, forms, guardian_calls, intents

_PAYMASTER_FIELDS_BYTES = 52
_REVOKE_SESSIONS = accounts.encode_revoke_sessions(session_ids=[])[:4]
_FREEZE_SESSIONS = accounts.encode_freeze_sessions(session_ids=[])[:4]
_HANDLE_OPS = user_operations.encode_handle_ops(operations=[], beneficiary=words.ZERO_ADDRESS)[:4]
# As many as a bundle has operations.
_MOST_AUTHORIZATIONS = 100
_ON_CHAIN = tuple(field.name for field in dataclasses.fields(sessions.SessionPolicy)[1:])
_read_on_chain = operator.attrgetter(*_ON_CHAIN)


class UnableToReadPolicy(ValueError):
    """A policy with a missing, unknown or malformed field."""


@dataclasses.dataclass(frozen=True, slots=True)
class Allowed:
    """The key may sign it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Denied:
    """The key may not sign it."""

    code: str
    reason: str


type Verdict = Allowed | Denied


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    """Addresses and hashes are bytes, times Unix seconds, amounts base units or wei."""

    tag: ClassVar[str]
    chain_id: int

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """Return the policy that JSON describes, with or without its tag.

        :raises UnableToReadPolicy: a field is missing, unknown or malformed.
        """
        form = forms.of(cls)  # type: ignore[arg-type] # a class has a hash; mypy looks at its instances
        if value.get("tag", cls.tag) != cls.tag or value.keys() - form.readers.keys() - {"tag"}:
            raise UnableToReadPolicy(f"Not a policy of the form {cls.tag}.")
        try:
            read: dict[str, Any] = {
                name: reader(value[name])
                for name, reader in form.readers.items()
                if name in value or name in form.required
            }
        except (KeyError, ValueError, TypeError) as error:
            raise UnableToReadPolicy(f"{cls.tag}: {type(error).__name__} {error}") from None
        return cls(**read)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that is sealed and stored."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"tag": self.tag} | {name: forms.write(value) for name, value in values.items()}

    def _of_own_account(self, intent: intents.UserOperation, account: bytes) -> Verdict:
        if intent.chain_id != self.chain_id:
            return Denied("other_chain", f"The key is for chain {self.chain_id}.")
        if intent.operation.sender != account:
            return Denied("other_account", "The key is for another account.")
        if len(intent.operation.paymaster_and_data) < _PAYMASTER_FIELDS_BYTES:
            return Denied("not_sponsored", "Without a sponsor the account's own coin would pay for the gas.")
        return Allowed()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WalletOwner(_Policy):
    """The owner of one customer's account: lets sessions in that pay `payee`, its utility's treasury; stops them.

    It also gives the account over, to the customer or to the key that follows it; the signer looks for the wish behind
    that (`custody.usecases.check_control`).
    """

    tag = "wallet_owner/2"
    salt: bytes
    account: bytes
    payee: bytes

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:  # noqa: PLR0911 - one return a rule
        if isinstance(intent, intents.SessionInstall):
            if intent.chain_id != self.chain_id:
                return Denied("other_chain", f"The key is for chain {self.chain_id}.")
            if intent.account != self.account:
                return Denied("other_account", "The key is for another account.")
            if not intent.policy.is_enforceable():
                return Denied("policy_not_enforceable", "No account would install this session.")
            if intent.policy.payee != self.payee:
                return Denied("other_payee", "The session would pay another than the wallet's utility.")
            return Allowed()
        if isinstance(intent, intents.UserOperation):
            call_data = intent.operation.call_data
            ends_sessions = call_data[:4] in (_REVOKE_SESSIONS, _FREEZE_SESSIONS)
            if not ends_sessions and control_calls.read(call_data=call_data, account=self.account) is None:
                return Denied("other_call", "The key only ends and stops sessions, and gives the account over.")
            return self._of_own_account(intent, self.account)
        return Denied("other_intent", f"The key does not sign a {intent.kind}.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Session(_Policy):
    """A session key: pays bills as the chain's own session policy says, which the call must carry unchanged."""

    tag = "session/1"
    account: bytes
    payee: bytes
    token: bytes
    fee_token: bytes = words.ZERO_ADDRESS
    max_per_payment_units: int
    max_per_period_units: int
    max_total_units: int
    max_fee_units: int
    max_fee_in_fee_token_units: int = 0
    starts_at: int
    ends_at: int
    period_seconds: int
    salt: int

    def on_chain(self, *, key: bytes) -> sessions.SessionPolicy:
        """Return the policy that the account installs for the session key `key`."""
        return sessions.SessionPolicy(key=key, **dict(zip(_ON_CHAIN, _read_on_chain(self), strict=True)))

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:
        if not isinstance(intent, intents.UserOperation):
            return Denied("other_intent", f"The key does not sign a {intent.kind}.")
        own = self._of_own_account(intent, self.account)
        if isinstance(own, Denied):
            return own
        try:
            payment = payments.decode_pay_bill(call_data=intent.operation.call_data)
        except accounts.UnableToReadCall:
            return Denied("other_call", "The key only pays bills.")
        return self._check_payment(payment=payment, address=address, timestamp=timestamp)

    def _check_payment(self, *, payment: payments.BillPayment, address: bytes, timestamp: int) -> Verdict:  # noqa: PLR0911 - one return a rule
        for name in ("payee", "token", "fee_token"):
            if getattr(payment.policy, name) != getattr(self, name):
                return Denied(f"other_{name}", f"The payment's {name.replace('_', ' ')} is not the session's.")
        if payment.policy != self.on_chain(key=address):
            return Denied("other_policy", "The payment carries another policy than the session's.")
        if not self.starts_at <= timestamp < self.ends_at:
            return Denied("outside_session", "The session has not begun or is over.")
        if payment.amount_units == 0:
            return Denied("nothing_to_pay", "A payment must be of something.")
        if payment.in_fee_token and self.fee_token == words.ZERO_ADDRESS:
            return Denied("no_fee_token", "The session names no other token for fees.")
        fee_limit = self.max_fee_in_fee_token_units if payment.in_fee_token else self.max_fee_units
        if payment.fee_units > fee_limit:
            return Denied("above_fee_limit", f"The fee {payment.fee_units} is above the limit {fee_limit}.")
        limit = min(self.max_per_payment_units, self.max_per_period_units, self.max_total_units)
        if payment.leaving_units > limit:
            return Denied("above_limit", f"The payment of {payment.leaving_units} is above the limit {limit}.")
        return Allowed()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TreasuryOwner(_Policy):
    """The owner of a program's treasury wallet: pays batches through one `Payouts` contract, and nothing else."""

    tag = "treasury_owner/2"
    salt: bytes
    account: bytes
    payouts: bytes
    caps: tuple[caps.Cap, ...]

    def check_day(self, *, intent: intents.UserOperation, others: Mapping[bytes, tokens.PayoutBatch]) -> Verdict:
        """Say whether a batch that may be signed keeps to the caps, after the batches of the last day."""
        batch = payout_batch(intent.operation.call_data)
        reason = caps.refusal(caps=self.caps, batch=batch, others=others) if batch else "This pays no batch."
        return Denied("above_cap", reason) if reason else Allowed()

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:  # noqa: PLR0911 - one return a rule
        if not isinstance(intent, intents.UserOperation):
            return Denied("other_intent", f"The key does not sign a {intent.kind}.")
        own = self._of_own_account(intent, self.account)
        if isinstance(own, Denied):
            return own
        try:
            calls = accounts.decode_execute_batch(call_data=intent.operation.call_data)
            approval, payout = calls
            batch = tokens.decode_pay_batch(call_data=payout.data)
        except (accounts.UnableToReadCall, ValueError):
            return Denied("other_call", "The key only approves and pays one batch of payouts.")
        if payout.to != self.payouts or payout.value_wei or approval.value_wei:
            return Denied("other_contract", "Payouts go through the payouts contract, without native coin.")
        total = sum(batch.amounts_units)
        expected = tokens.encode_approve(spender=self.payouts, amount_units=total)
        if approval.to != batch.token or approval.data != expected:
            return Denied("other_approval", "The approval must be of exactly the batch's sum, in its token.")
        if intent.operation.call_data != accounts.encode_execute_batch(calls=calls) or (
            payout.data != tokens.encode_pay_batch(batch=batch)
        ):
            return Denied("other_encoding", "The batch is not encoded as it is decoded.")
        return Allowed()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guardian(_Policy):
    """The owner of a utility's guardian wallet: holds and ends sessions of an account, and recovers it.

    It moves no funds, upgrades nothing and touches no exit; whose account, and who decided, the signer looks for
    (`custody.usecases.check_guardian`).
    """

    tag = "guardian/1"
    salt: bytes
    account: bytes

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:
        if not isinstance(intent, intents.UserOperation):
            return Denied("other_intent", f"The key does not sign a {intent.kind}.")
        if guardian_calls.read(call_data=intent.operation.call_data) is None:
            return Denied("other_call", "The key only stops sessions of an account, and recovers it.")
        return self._of_own_account(intent, self.account)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Relayer(_Policy):
    """A key that sends bundles: direct `handleOps` with the refund to itself, and nothing else."""

    tag = "relayer/1"
    entry_point: bytes
    max_cost_wei: int

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:  # noqa: PLR0911 - one return a rule
        if not isinstance(intent, intents.Transaction):
            return Denied("other_intent", f"The key does not sign a {intent.kind}.")
        sent = intent.transaction
        if sent.chain_id != self.chain_id:
            return Denied("other_chain", f"The key is for chain {self.chain_id}.")
        if sent.to != self.entry_point or sent.data[:4] != _HANDLE_OPS or sent.value_wei:
            return Denied("other_call", "The key only sends handleOps to the EntryPoint, without native coin.")
        if sent.data[36:68] != words.address(address):
            return Denied("other_beneficiary", "The gas refund must go to the key itself.")
        if len(sent.authorizations) > _MOST_AUTHORIZATIONS:
            return Denied("too_many_authorizations", f"A bundle carries at most {_MOST_AUTHORIZATIONS} authorisations.")
        if any(each.chain_id not in (0, self.chain_id) for each in sent.authorizations):
            return Denied("other_authorization", "An authorisation is for another chain.")
        if any(_is_authority(each, address) for each in sent.authorizations):
            return Denied("own_authorization", "The key gives its own account no code.")
        if sent.max_cost_wei > self.max_cost_wei:
            return Denied("above_cost_limit", f"{sent.max_cost_wei} wei is above the limit {self.max_cost_wei}.")
        return Allowed()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sponsor(_Policy):
    """A key that signs for the paymaster, up to a cost an operation."""

    tag = "sponsor/1"
    paymaster: bytes
    max_cost_wei: int

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:
        if not isinstance(intent, intents.Sponsorship):
            return Denied("other_intent", f"The key does not sign a {intent.kind}.")
        if intent.chain_id != self.chain_id:
            return Denied("other_chain", f"The key is for chain {self.chain_id}.")
        if intent.sponsorship.paymaster != self.paymaster:
            return Denied("other_paymaster", "The key is for another paymaster.")
        if intent.sponsorship.valid_until <= timestamp:
            return Denied("expired", "The sponsorship would be over before it begins.")
        if intent.max_cost_wei > self.max_cost_wei:
            return Denied("above_cost_limit", f"{intent.max_cost_wei} wei is above the limit {self.max_cost_wei}.")
        return Allowed()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refill(_Policy):
    """A key that keeps relayer keys and the paymasters' deposits in coin: bare transfers and `depositTo`.

    Who may receive a transfer, and how much leaves in a day, the signer looks for (`custody.usecases.check_refill`).
    """

    tag = "refill/1"
    entry_point: bytes
    paymaster: bytes
    relay_paymaster: bytes
    max_per_transfer_wei: int
    max_per_day_wei: int

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:
        if not isinstance(intent, intents.Transaction):
            return Denied("other_intent", f"The key does not sign a {intent.kind}.")
        sent = intent.transaction
        if sent.chain_id != self.chain_id:
            return Denied("other_chain", f"The key is for chain {self.chain_id}.")
        known = (self.paymaster, self.relay_paymaster)
        deposits = {user_operations.encode_deposit_to(account=each) for each in known if any(each)}
        is_deposit = sent.to == self.entry_point and sent.data in deposits
        if sent.authorizations or not (is_deposit or (not sent.data and sent.to != self.entry_point)):
            return Denied("other_call", "The key only sends coin to relayer keys and the paymasters' deposits.")
        if sent.max_cost_wei > self.max_per_transfer_wei:
            return Denied("above_cost_limit", f"{sent.max_cost_wei} wei is above {self.max_per_transfer_wei}.")
        return Allowed()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deployer(_Policy):
    """A key that puts this version's contracts on a chain and owns the paymasters.

    `treasury` takes all $OVPP, the key itself if it is zero; without a `stablecoin` the chain is for development. What
    is on the list, whom it names and how much leaves in a day the signer looks for (`custody.usecases.check_deployer`).
    """

    tag = "deployer/1"
    treasury: bytes = words.ZERO_ADDRESS
    stablecoin: bytes = words.ZERO_ADDRESS
    native_usd: bytes = words.ZERO_ADDRESS
    ovpp_usd: bytes = words.ZERO_ADDRESS
    stablecoin_usd: bytes = words.ZERO_ADDRESS
    max_cost_wei: int
    max_per_day_wei: int

    def check(self, *, intent: intents.Intent, address: bytes, timestamp: int) -> Verdict:
        if not isinstance(intent, intents.Transaction):
            return Denied("other_intent", f"The key does not sign a {intent.kind}.")
        if intent.transaction.chain_id != self.chain_id:
            return Denied("other_chain", f"The key is for chain {self.chain_id}.")
        if intent.transaction.authorizations:
            return Denied("other_authorization", "The key carries nobody's authorisation.")
        cost_wei = intent.transaction.max_cost_wei
        if cost_wei > self.max_cost_wei:
            return Denied("above_cost_limit", f"{cost_wei} wei is above the limit {self.max_cost_wei}.")
        return Allowed()


type Policy = WalletOwner | Session | TreasuryOwner | Guardian | Relayer | Sponsor | Refill | Deployer

BY_PURPOSE: dict[str, type[Policy]] = {
    "wallet_owner": WalletOwner,
    "session": Session,
    "treasury_owner": TreasuryOwner,
    "guardian": Guardian,
    "relayer": Relayer,
    "sponsor": Sponsor,
    "refill": Refill,
    "deployer": Deployer,
}


def parse(*, purpose: str, value: Mapping[str, Any]) -> Policy:
    """Return the policy of a key of this purpose.

    :raises UnableToReadPolicy: it is none.
    """
    if purpose not in BY_PURPOSE:
        raise UnableToReadPolicy(f"Unknown purpose {purpose}.")
    return BY_PURPOSE[purpose].parse(value)


def payout_batch(call_data: bytes) -> tokens.PayoutBatch | None:
    """Return the batch that a treasury's call pays, or None when it pays none."""
    try:
        _approval, payout = accounts.decode_execute_batch(call_data=call_data)
        return tokens.decode_pay_batch(call_data=payout.data)
    except ValueError:
        return None


def _is_authority(authorization: delegations.Authorization, address: bytes) -> bool:
    """Say whether an authorisation is `address`'s own; one that nobody signed is the chain's to skip."""
    try:
        return authorization.authority() == address
    except ValueError:
        return False
