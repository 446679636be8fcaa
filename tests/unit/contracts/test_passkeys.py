"""Signatures of P-256 keys, packed and taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import lane, passkeys, payments, sessions, words
from tests.chain import phone as phones

PHONE = phones.Phone(7)
OF_OWNER = bytes(31) + b"\x01" + bytes(31) + b"\x02" + b"\x1b"
DIGEST = words.keccak(b"digest")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY_SIGNATURES = [OF_OWNER, PHONE.sign(DIGEST), PHONE.attest(DIGEST)]
LEAVES = [None, *(sessions.encode_leave(consent=bytes(32), owner_signature=owner) for owner in KEY_SIGNATURES)]


@pytest.mark.parametrize("key_signature", KEY_SIGNATURES, ids=["secp256k1", "keystore", "passkey"])
@pytest.mark.parametrize("leave", LEAVES, ids=["installed", "secp256k1", "keystore", "passkey"])
def test_signatures_there_and_back(key_signature: bytes, leave: bytes | None) -> None:
    joined = sessions.join_signatures(key_signature=key_signature, leave=leave)
    assert sessions.split_signatures(joined) == (key_signature, leave)
    is_short = len(key_signature) == 65 and (leave is None or len(leave) == 97)
    assert len(joined) == len(key_signature) + len(leave or b"") + (0 if is_short else 2)


@given(s=st.integers(1, ORDER - 1))
def test_the_upper_half_becomes_the_lower(s: int) -> None:
    signature = passkeys.raw_signature(x=1, y=2, r=3, s=s)
    assert words.read_uint(signature, 96) == min(s, ORDER - s)


def test_what_no_account_takes_is_refused() -> None:
    malleable = PHONE.sign(DIGEST)[:96] + (ORDER - 1).to_bytes(32, "big")
    for wrong in (b"", bytes(127), malleable, bytes(4_095)):
        with pytest.raises(ValueError, match=r"signature"):
            passkeys.checked(wrong)
    for client_data in (b"{}", b'{"type":"webauthn.get"}', b'{"challenge":"x"}'):
        with pytest.raises(ValueError, match="names no type or no challenge"):
            passkeys.webauthn_signature(x=1, y=2, r=3, s=4, authenticator_data=b"", client_data_json=client_data)


def test_a_phones_intent_shares_a_bundle_with_others() -> None:
    policy = sessions.SessionPolicy(
        key=PHONE.address,
        payee=bytes(20),
        token=bytes(20),
        max_per_payment_units=1,
        max_per_period_units=1,
        max_total_units=1,
        max_fee_units=1,
        starts_at=0,
        ends_at=1,
        period_seconds=0,
        salt=0,
    )
    payment = payments.BillPayment(policy=policy, reference=bytes(16), amount_units=1)
    intents = tuple(
        lane.Intent(account=bytes(20), payment=payment, deadline=1, key_signature=signature, leave=leave)
        for signature in KEY_SIGNATURES
        for leave in LEAVES
    )
    assert lane.decode_pay_bills(call_data=lane.encode_pay_bills(intents=intents, gas_for_each=1)) == intents
