"""ERC-20 tokens and batch payouts: calldata."""

from __future__ import annotations

import dataclasses

from contracts.bindings import accounts, words

_TRANSFER = words.selector("transfer(address,uint256)")
_APPROVE = words.selector("approve(address,uint256)")
_BALANCE_OF = words.selector("balanceOf(address)")
_ALLOWANCE = words.selector("allowance(address,address)")
_MINT = words.selector("mint(address,uint256)")
_LATEST_ROUND_DATA = words.selector("latestRoundData()")
_DECIMALS = words.selector("decimals()")
_SET_ANSWER = words.selector("setAnswer(int256)")
_PAY_BATCH = words.selector("payBatch(bytes16,address,address[],uint256[])")
_PAY_PACKED = words.selector("payPacked(bytes16,address,bytes32[])")
_IS_PAID = words.selector("isPaid(address,bytes16)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PayoutBatch:
    """A batch of payouts: recipients and their amounts in base units, in the same order; the reference is used once."""

    reference: bytes
    token: bytes
    recipients: tuple[bytes, ...]
    amounts_units: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The latest answer of a price feed, in units of the feed's decimals, and when it was given, Unix time."""

    answer: int
    updated_at: int


def encode_transfer(*, to: bytes, amount_units: int) -> bytes:
    """Return the token calldata that moves the caller's tokens."""
    return _TRANSFER + words.address(to) + words.uint(amount_units)


def encode_approve(*, spender: bytes, amount_units: int) -> bytes:
    """Return the token calldata that lets a spender take up to an amount from the caller."""
    return _APPROVE + words.address(spender) + words.uint(amount_units)


def encode_balance_of(*, holder: bytes) -> bytes:
    """Return the token calldata that asks for a balance."""
    return _BALANCE_OF + words.address(holder)


def encode_allowance(*, owner: bytes, spender: bytes) -> bytes:
    """Return the token calldata that asks what a spender may take from an owner."""
    return _ALLOWANCE + words.address(owner) + words.address(spender)


def encode_mint(*, to: bytes, amount_units: int) -> bytes:
    """Return the calldata by which the owner of the development stablecoin makes tokens."""
    return _MINT + words.address(to) + words.uint(amount_units)


def encode_decimals() -> bytes:
    """Return the calldata that asks a token or a feed for its decimals."""
    return _DECIMALS


def encode_latest_round_data() -> bytes:
    """Return the calldata that asks a feed for its latest answer."""
    return _LATEST_ROUND_DATA


def decode_latest_round_data(*, result: bytes) -> Price:
    """Return what a feed answered.

    :raises ValueError: if that is no answer, or no price above zero.
    """
    answer = int.from_bytes(words.read_word(result, 32), "big", signed=True)
    if answer <= 0:
        message = f"a price must be above zero, not {answer}"
        raise ValueError(message)
    return Price(answer=answer, updated_at=words.read_uint(result, 96))


def encode_set_answer(*, answer: int) -> bytes:
    """Return the calldata by which the owner of a development feed says a new price."""
    return _SET_ANSWER + words.uint(answer, bits=255)


def encode_pay_batch(*, batch: PayoutBatch) -> bytes:
    """Return the calldata of `Payouts` that pays a batch from the caller's allowance, all of it or nothing.

    :raises ValueError: if recipients and amounts don't pair up or there are none.
    """
    if not batch.recipients or len(batch.recipients) != len(batch.amounts_units):
        message = "a batch needs recipients, and an amount for each"
        raise ValueError(message)
    parts = (
        words.left_aligned(batch.reference, length=words.REFERENCE_BYTES),
        words.address(batch.token),
        words.array([words.address(recipient) for recipient in batch.recipients]),
        words.array([words.uint(amount) for amount in batch.amounts_units]),
    )
    return _PAY_BATCH + words.arguments(parts)


def encode_pay_packed(*, batch: PayoutBatch) -> bytes:
    """Return the calldata of `Payouts` that pays a batch with the least gas, with one `BatchPaid` for all of it.

    :raises ValueError: if recipients and amounts don't pair up, there are none, or an amount is not below 2**96.
    """
    if not batch.recipients or len(batch.recipients) != len(batch.amounts_units):
        message = "a batch needs recipients, and an amount for each"
        raise ValueError(message)
    paid = [
        words.exactly(recipient, words.ADDRESS_BYTES, "a recipient") + words.uint(amount, bits=96)[20:]
        for recipient, amount in zip(batch.recipients, batch.amounts_units, strict=True)
    ]
    parts = (
        words.left_aligned(batch.reference, length=words.REFERENCE_BYTES),
        words.address(batch.token),
        words.array(paid),
    )
    return _PAY_PACKED + words.arguments(parts)


def decode_pay_batch(*, call_data: bytes) -> PayoutBatch:
    """Return the batch that a call of `Payouts` pays.

    :raises accounts.UnableToReadCall: if it pays none.
    """
    if call_data[:4] != _PAY_BATCH:
        message = "not a batch of payouts"
        raise accounts.UnableToReadCall(message)
    body = call_data[4:]
    try:
        recipients_at, amounts_at = words.read_uint(body, 64), words.read_uint(body, 96)
        recipients = tuple(
            words.read_address(body, recipients_at + 32 + 32 * i) for i in range(words.read_uint(body, recipients_at))
        )
        amounts = tuple(
            words.read_uint(body, amounts_at + 32 + 32 * i) for i in range(words.read_uint(body, amounts_at))
        )
        token = words.read_address(body, 32)
    except ValueError as error:
        message = "the batch of payouts is cut short"
        raise accounts.UnableToReadCall(message) from error
    return PayoutBatch(
        reference=body[: words.REFERENCE_BYTES], token=token, recipients=recipients, amounts_units=amounts
    )


def encode_is_paid(*, payer: bytes, reference: bytes) -> bytes:
    """Return the calldata that asks `Payouts` whether a payer has paid a batch of that name."""
    return _IS_PAID + words.address(payer) + words.left_aligned(reference, length=words.REFERENCE_BYTES)
