"""Bill payments: the account's call for the EntryPoint path, and the session key's digest for the bill lane."""

from __future__ import annotations

import dataclasses

from contracts.bindings import accounts, sessions, words

_PAY_BILL = words.selector("payBill(bytes32[5],bytes16,uint256,uint256,bool)")
_PAY_BILL_BYTES = 4 + 9 * 32
_PAY_BILL_SIGNED = words.selector("payBillSigned(bytes32[5],(bytes16,uint256,uint256,bool),uint40,bytes)")
_PAYMENT_TYPEHASH = words.keccak(
    b"BillPayment(bytes32 sessionId,bytes16 ref,uint256 amount,uint256 fee,bool inFeeToken,uint32 sequence,"
    b"uint40 deadline)"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BillPayment:
    """A payment of a bill.

    The amount is in base units of the policy's token; so is the fee, paid in the same transfer,
    unless `in_fee_token`: then it is in base units of the policy's fee token, by a second transfer to the payee.
    """

    policy: sessions.SessionPolicy
    reference: bytes
    amount_units: int
    fee_units: int = 0
    in_fee_token: bool = False

    @property
    def leaving_units(self) -> int:
        """Return what leaves in the bill's token and counts towards the policy's limits."""
        return self.amount_units if self.in_fee_token else self.amount_units + self.fee_units


def refusal_of(*, payment: BillPayment, state: accounts.SessionState, timestamp: int) -> str | None:
    """Return the name of the error that an account would refuse the payment with at a Unix time, or None if it pays.

    The rules and their order are the account's own; whether the tokens are there, and the signature, is not looked at.
    """
    policy = payment.policy
    is_live = state.is_installed and not state.is_revoked and not state.is_frozen
    fee_limit = policy.max_fee_in_fee_token_units if payment.in_fee_token else policy.max_fee_units
    same_period = policy.period_at(timestamp=timestamp) == state.period
    in_period = payment.leaving_units + (state.spent_in_period_units if same_period else 0)
    before_spending = [
        ("SessionNotLive", not is_live),
        ("NothingToPay", payment.amount_units == 0),
        ("AboveFeeLimit", not payment.in_fee_token and payment.fee_units > fee_limit),
    ]
    spending = [
        ("OutsideSession", not policy.starts_at <= timestamp < policy.ends_at),
        ("AbovePaymentLimit", payment.leaving_units > policy.max_per_payment_units),
        ("AbovePeriodLimit", in_period > policy.max_per_period_units),
        ("AboveTotalLimit", state.spent_total_units + payment.leaving_units > policy.max_total_units),
    ]
    fee_in_fee_token = [
        ("NoFeeToken", payment.in_fee_token and policy.fee_token == words.ZERO_ADDRESS),
        ("AboveFeeLimit", payment.in_fee_token and payment.fee_units > fee_limit),
    ]
    return next((name for name, refused in before_spending + spending + fee_in_fee_token if refused), None)


def encode_pay_bill(*, payment: BillPayment) -> bytes:
    """Return the account calldata that pays a bill, for a user operation signed by the session key.

    :raises ValueError: if a field does not fit.
    """
    return _PAY_BILL + sessions.pack(policy=payment.policy) + _payment_words(payment)


def decode_pay_bill(*, call_data: bytes) -> BillPayment:
    """Return the payment that an account's calldata makes.

    :raises accounts.UnableToReadCall: if it makes none, or is not exactly that call.
    """
    if call_data[:4] != _PAY_BILL or len(call_data) != _PAY_BILL_BYTES:
        message = "not a bill payment"
        raise accounts.UnableToReadCall(message)
    arguments = call_data[4:]
    in_fee_token = words.read_uint(arguments, 256)
    if in_fee_token > 1 or any(arguments[176:192]):
        message = "a bill payment with words that are out of range"
        raise accounts.UnableToReadCall(message)
    return BillPayment(
        policy=sessions.unpack(packed=arguments[:160]),
        reference=arguments[160:176],
        amount_units=words.read_uint(arguments, 192),
        fee_units=words.read_uint(arguments, 224),
        in_fee_token=bool(in_fee_token),
    )


def bill_payment_digest(*, payment: BillPayment, sequence: int, deadline: int, chain_id: int, account: bytes) -> bytes:
    """Return the digest that the session key signs for a payment on the bill lane (EIP-712).

    `sequence` is the session's lane sequence on chain; `deadline` the first Unix second at which it is void.
    """
    struct_hash = payment_struct_hash(payment=payment, sequence=sequence, deadline=deadline)
    domain = sessions.account_domain(chain_id=chain_id, account=account)
    return words.typed_data_hash(domain=domain, struct_hash=struct_hash)


def payment_struct_hash(*, payment: BillPayment, sequence: int, deadline: int) -> bytes:
    """Return the EIP-712 struct hash of a payment on the bill lane."""
    return words.keccak(
        _PAYMENT_TYPEHASH
        + sessions.session_id(policy=payment.policy)
        + _payment_words(payment)
        + words.uint(sequence, bits=32)
        + words.uint(deadline, bits=40)
    )


def encode_pay_bill_signed(
    *, payment: BillPayment, deadline: int, key_signature: bytes, leave: bytes | None = None
) -> bytes:
    """Return the account calldata that pays a bill on the lane, for anybody to send."""
    parts = (
        sessions.pack(policy=payment.policy),
        _payment_words(payment),
        words.uint(deadline, bits=40),
        words.dynamic(sessions.join_signatures(key_signature=key_signature, leave=leave)),
    )
    return _PAY_BILL_SIGNED + words.arguments(parts)


def _payment_words(payment: BillPayment) -> bytes:
    return (
        words.left_aligned(payment.reference, length=words.REFERENCE_BYTES)
        + words.uint(payment.amount_units)
        + words.uint(payment.fee_units)
        + words.flag(payment.in_fee_token)
    )
