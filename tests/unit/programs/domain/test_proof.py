"""A payout is proven by the token's own logs, to the unit, each log once."""

from contracts.bindings import events
from programs.domain import proof

TREASURY, TOKEN, ADA, BEN = b"\x01" * 20, b"\x02" * 20, b"\x0a" * 20, b"\x0b" * 20
DUE = proof.Due(treasury=TREASURY, token=TOKEN, amounts_units={ADA: 700, BEN: 300})


def transfer(
    recipient: bytes, units: int, index: int, *, token: bytes = TOKEN, sender: bytes = TREASURY
) -> events.Event:
    return events.Transfer(emitter=token, log_index=index, sender=sender, recipient=recipient, amount_units=units)


def test_each_recipient_is_proven_by_a_log() -> None:
    assert proof.prove(due=DUE, logs=[transfer(BEN, 300, 4), transfer(ADA, 700, 7)]) == proof.Proven({ADA: 7, BEN: 4})


def test_another_amount_token_or_sender_proves_nothing() -> None:
    for wrong in (transfer(BEN, 299, 4), transfer(BEN, 300, 4, token=ADA), transfer(BEN, 300, 4, sender=ADA)):
        verdict = proof.prove(due=DUE, logs=[transfer(ADA, 700, 3), wrong])
        assert verdict == proof.NotProven(f"No transfer of exactly 300 base units reached 0x{BEN.hex()}.")


def test_the_contracts_word_proves_nothing() -> None:
    made = events.PayoutMade(
        emitter=TREASURY,
        log_index=1,
        reference=b"\x00" * 16,
        payer=TREASURY,
        recipient=ADA,
        token=TOKEN,
        amount_units=700,
    )
    assert isinstance(proof.prove(due=DUE, logs=[made, transfer(BEN, 300, 2)]), proof.NotProven)
