"""Whom an operation touches, as far as its calldata tells: whoever is called, and whoever is paid or let take."""

from contracts.bindings import accounts, payments, tokens, words

_TO_FIRST = frozenset({words.selector("transfer(address,uint256)"), words.selector("approve(address,uint256)")})
_TO_BOTH = words.selector("transferFrom(address,address,uint256)")


def of_call_data(call_data: bytes, /) -> frozenset[bytes]:
    """Return the addresses; of a call that is not known here, whom it calls alone."""
    try:
        return frozenset({payments.decode_pay_bill(call_data=call_data).policy.payee})
    except ValueError:
        pass
    try:
        calls = accounts.decode_execute_batch(call_data=call_data)
    except accounts.UnableToReadCall:
        return frozenset()
    return frozenset(address for call in calls for address in (call.to, *_paid(call.data)))


def _paid(data: bytes) -> tuple[bytes, ...]:
    try:
        return tokens.decode_pay_batch(call_data=data).recipients
    except ValueError:
        pass
    # The low 20 bytes of each word, as a token may read it that does not look at the others.
    given = data[4:].ljust(64, b"\x00")
    first, second = given[12:32], given[44:64]
    if data[:4] == _TO_BOTH:
        return first, second
    return (first,) if data[:4] in _TO_FIRST else ()
