"""What is kept as an intent is what is signed."""

import uuid

import pytest

from contracts.bindings import accounts, payments, sessions, tokens, words
from wallets.domain import intents

PAYEE, TOKEN, OVPP, OTHER = (words.checksummed(bytes([n]) * 20) for n in (1, 2, 3, 4))
REFERENCE = "0x" + "ab" * 16
POLICY = sessions.SessionPolicy(
    key=b"k" * 20,
    payee=words.parse_address(PAYEE),
    token=words.parse_address(TOKEN),
    fee_token=words.parse_address(OVPP),
    max_per_payment_units=10**9,
    max_per_period_units=10**9,
    max_total_units=10**9,
    max_fee_units=10**6,
    starts_at=1,
    ends_at=2**32,
    period_seconds=0,
    salt=0,
)


def payment(**changes: object) -> intents.BillPayment:
    values = {"reference": REFERENCE, "payee": PAYEE, "token": TOKEN, "amount_units": 10**8, "fee_units": 7}
    return intents.BillPayment(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("fee_token", "spend"), [(None, 10**8 + 7), (OVPP, 10**8)])
def test_a_payment_is_signed_as_it_is_kept(fee_token: str | None, spend: int) -> None:
    kept = intents.BillPayment.from_json(payment(fee_token=fee_token).to_json())
    decoded = payments.decode_pay_bill(call_data=kept.call_data(policy=POLICY))
    assert decoded == payments.BillPayment(
        policy=POLICY,
        reference=bytes.fromhex("ab" * 16),
        amount_units=10**8,
        fee_units=7,
        in_fee_token=fee_token is not None,
    )
    assert kept.spend_units == decoded.leaving_units == spend


@pytest.mark.parametrize("changes", [{"payee": OTHER}, {"token": OTHER}, {"fee_token": OTHER}])
def test_a_payment_that_the_grant_does_not_name_is_not_built(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="another payee or token"):
        payment(**changes).call_data(policy=POLICY)


def test_a_payout_allows_exactly_its_sum_and_pays_it() -> None:
    payouts = b"P" * 20
    wish = intents.ProgramPayout(
        reference=REFERENCE,
        token=TOKEN,
        recipients=(PAYEE, OTHER),
        amounts_units=(5, 2**80),
        program_id=uuid.UUID("01020304-0506-4708-a90a-0b0c0d0e0f10"),
    )
    kept = intents.ProgramPayout.from_json(wish.to_json())
    assert (kept, kept.program_number) == (wish, 0x0102030405064708)
    approve, pay = accounts.decode_execute_batch(call_data=kept.call_data(payouts=payouts))
    leave = tokens.encode_approve(spender=payouts, amount_units=5 + 2**80)
    assert approve == accounts.Call(to=words.parse_address(TOKEN), data=leave)
    assert pay.to == payouts
    assert tokens.decode_pay_batch(call_data=pay.data).amounts_units == (5, 2**80)


def test_a_removal_names_its_sessions() -> None:
    session = "0x" + "cd" * 32
    wish = intents.SessionRemoval.from_json(intents.SessionRemoval(session_ids=(session,)).to_json())
    assert wish.call_data() == accounts.encode_revoke_sessions(session_ids=[bytes.fromhex("cd" * 32)])
