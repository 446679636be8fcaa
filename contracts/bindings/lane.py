"""The bill lane: many signed payments packed into one transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from contracts.bindings import accounts, payments, sessions, words

_PAY_BILLS = words.selector("payBills(bytes)")
_HEADER_BYTES = 63
_BODY_BYTES = 166
_IN_FEE_TOKEN = 1
_INSTALLS = 2
_LONG_SIGNATURE = 4


class UnableToPackBundle(ValueError):
    """Payments can't share a bundle, or one does not fit."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A payment signed for the lane: the account that pays, the first Unix second at which it is void, signatures."""

    account: bytes
    payment: payments.BillPayment
    deadline: int
    key_signature: bytes
    leave: bytes | None = None


def encode_pay_bills(*, intents: Sequence[Intent], gas_for_each: int) -> bytes:
    """Return the lane's calldata. Intents share payee, token and fee token; amounts and fees are below 2**96.

    :raises UnableToPackBundle: if they don't, or one does not fit.
    """
    shared = {
        (intent.payment.policy.payee, intent.payment.policy.token, intent.payment.policy.fee_token)
        for intent in intents
    }
    if len(shared) != 1:
        message = "payments of a bundle share payee, token and fee token"
        raise UnableToPackBundle(message)
    try:
        bundle = gas_for_each.to_bytes(3, "big") + b"".join(shared.pop()) + b"".join(map(_pack, intents))
    except OverflowError as error:
        message = "a payment's amount, fee or deadline, or the gas for each, does not fit"
        raise UnableToPackBundle(message) from error
    return _PAY_BILLS + words.arguments((words.dynamic(bundle),))


def decode_pay_bills(*, call_data: bytes) -> tuple[Intent, ...]:
    """Return the intents of a bundle.

    :raises accounts.UnableToReadCall: if it is none, or cut short.
    """
    message = "not a bundle of bill payments"
    if call_data[:4] != _PAY_BILLS:
        raise accounts.UnableToReadCall(message)
    try:
        bundle = words.read_bytes(call_data[4:], words.read_uint(call_data, 4))
    except ValueError as error:
        raise accounts.UnableToReadCall(message) from error
    intents = []
    at = _HEADER_BYTES
    while at < len(bundle):
        start, end = _signature_of(bundle, at)
        if end > len(bundle):
            raise accounts.UnableToReadCall(message)
        try:
            intents.append(_unpack(bundle[3:_HEADER_BYTES], bundle[at : at + _BODY_BYTES], bundle[start:end]))
        except ValueError as error:
            raise accounts.UnableToReadCall(message) from error
        at = end
    return tuple(intents)


def _pack(intent: Intent) -> bytes:
    payment = intent.payment
    policy = sessions.pack(policy=payment.policy)
    signature = sessions.join_signatures(key_signature=intent.key_signature, leave=intent.leave)
    short = {words.SIGNATURE_BYTES: 0, words.SIGNATURE_BYTES + sessions.LEAVE_BYTES: _INSTALLS}
    form = short.get(len(signature), _LONG_SIGNATURE)
    flags = _IN_FEE_TOKEN * payment.in_fee_token | form
    return b"".join(
        (
            bytes((flags,)),
            words.exactly(intent.account, words.ADDRESS_BYTES, "an account"),
            policy[:32],
            policy[52:64],
            policy[84:96],
            policy[116:128],
            policy[128:],
            words.exactly(payment.reference, words.REFERENCE_BYTES, "a reference"),
            payment.amount_units.to_bytes(12, "big"),
            payment.fee_units.to_bytes(12, "big"),
            intent.deadline.to_bytes(5, "big"),
            len(signature).to_bytes(2, "big") if form == _LONG_SIGNATURE else b"",
            signature,
        )
    )


def _signature_of(bundle: bytes, at: int) -> tuple[int, int]:
    """Return where the signature of the intent at `at` starts and ends."""
    start = at + _BODY_BYTES
    if bundle[at] & _LONG_SIGNATURE:
        return start + 2, start + 2 + int.from_bytes(bundle[start : start + 2], "big")
    return start, start + words.SIGNATURE_BYTES + sessions.LEAVE_BYTES * bool(bundle[at] & _INSTALLS)


def _unpack(shared: bytes, packed: bytes, signature: bytes) -> Intent:
    key_signature, leave = sessions.split_signatures(signature)
    policy = b"".join(
        (
            packed[21:53],
            shared[:20] + packed[53:65],
            shared[20:40] + packed[65:77],
            shared[40:] + packed[77:89],
            packed[89:121],
        )
    )
    return Intent(
        account=packed[1:21],
        payment=payments.BillPayment(
            policy=sessions.unpack(packed=policy),
            reference=packed[121:137],
            amount_units=int.from_bytes(packed[137:149], "big"),
            fee_units=int.from_bytes(packed[149:161], "big"),
            in_fee_token=bool(packed[0] & _IN_FEE_TOKEN),
        ),
        deadline=int.from_bytes(packed[161:166], "big"),
        key_signature=key_signature,
        leave=leave,
    )
