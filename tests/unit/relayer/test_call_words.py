"""Calldata in words: what is known is named, nothing is guessed, nothing that is malformed breaks the page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import accounts, tokens
from relayer.domain import call_words

ACCOUNT, PAYEE, TOKEN, OTHER = (bytes([number]) * 20 for number in (0xAC, 0xBE, 0x70, 0x99))
USD = call_words.Token(symbol="USDX", decimals=6)


def describe(call_data: bytes) -> list[str]:
    return call_words.describe(
        call_data=call_data, sender=ACCOUNT, tokens_by_address={TOKEN: USD}, names={PAYEE: "the treasury"}
    )


def batch(*calls: accounts.Call) -> bytes:
    return accounts.encode_execute_batch(calls=calls)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            accounts.Call(to=TOKEN, data=tokens.encode_transfer(to=PAYEE, amount_units=1_234_567_890)),
            "Transfers 1,234.56789 USDX to the treasury (0xBEbeBeBEbeBebeBeBEBEbebEBeBeBebeBeBebebe).",
        ),
        (
            accounts.Call(to=TOKEN, data=tokens.encode_approve(spender=OTHER, amount_units=1)),
            "Lets 0x9999999999999999999999999999999999999999 take up to 0.000001 USDX.",
        ),
        (
            accounts.Call(to=OTHER, data=tokens.encode_transfer(to=PAYEE, amount_units=7)),
            "Calls 0x9999999999999999999999999999999999999999: transfer(to 0xBEbe",
        ),
        (
            accounts.Call(to=PAYEE, value_wei=15 * 10**17),
            "Sends 1.5 of the chain's coin to the treasury (",
        ),
        (
            accounts.Call(to=OTHER, data=bytes.fromhex("deadbeef01")),
            "function 0xdeadbeef, which is not known here (5 bytes).",
        ),
    ],
)
def test_a_call_of_a_batch_is_one_sentence(call: accounts.Call, said: str) -> None:
    (line,) = describe(batch(call))
    assert said in line


def test_a_long_batch_is_cut() -> None:
    lines = describe(batch(*[accounts.Call(to=PAYEE, value_wei=1)] * 25))
    assert len(lines) == 21
    assert lines[-1] == "And 5 calls more."


def test_what_is_no_batch_is_named_by_its_function() -> None:
    assert describe(b"") == ["Does nothing; the account is only deployed, or its nonce used."]
    (line,) = describe(accounts.encode_change_owner(owner=OTHER))
    assert "0x9999999999999999999999999999999999999999" in line
    (line,) = describe(bytes.fromhex("deadbeef"))
    assert "function 0xdeadbeef, which is not known here (4 bytes)" in line


@given(st.binary(max_size=300), st.sampled_from([b"", batch()[:4], accounts.encode_change_owner(owner=OTHER)[:4]]))
def test_nothing_malformed_breaks_it(data: bytes, head: bytes) -> None:
    assert describe(head + data)
