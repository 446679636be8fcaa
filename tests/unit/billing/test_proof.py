"""A payment is proven by the tokens' own transfers, each counted once, and by nothing else."""

import dataclasses

import hypothesis
import pytest
from hypothesis import strategies

from billing.domain import proof
from contracts.bindings import events

WALLET, TREASURY, STRANGER = (bytes([n]) * 20 for n in (1, 2, 3))
USDX, OVPP, OTHER = (bytes([n]) * 20 for n in (11, 12, 13))


def transfer(units: int, *, index: int | None = 5, **changes: bytes) -> events.Transfer:
    given = {"emitter": USDX, "sender": WALLET, "recipient": TREASURY} | changes
    return events.Transfer(amount_units=units, log_index=index, **given)


def due(**changes: object) -> proof.Due:
    base = proof.Due(wallet=WALLET, treasury=TREASURY, token=USDX, amount_units=100)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_exact_transfer_proves() -> None:
    verdict = proof.prove(due=due(), logs=[transfer(100)])
    assert isinstance(verdict, proof.Proven)
    assert [(t.log_index, t.token, t.units) for t in verdict.transfers] == [(5, USDX, 100)]


def test_fee_in_the_bills_token_is_in_the_same_transfer() -> None:
    wanted = due(fee_units=7, fee_token=USDX)
    assert isinstance(proof.prove(due=wanted, logs=[transfer(107)]), proof.Proven)
    assert isinstance(proof.prove(due=wanted, logs=[transfer(100), transfer(7, index=6)]), proof.NotProven)


def test_fee_in_another_token_is_a_second_transfer() -> None:
    wanted = due(fee_units=7, fee_token=OVPP)
    verdict = proof.prove(due=wanted, logs=[transfer(7, emitter=OVPP, index=4), transfer(100)])
    assert isinstance(verdict, proof.Proven)
    assert [(t.log_index, t.token, t.units) for t in verdict.transfers] == [(5, USDX, 100), (4, OVPP, 7)]
    assert isinstance(proof.prove(due=wanted, logs=[transfer(100)]), proof.NotProven)
    assert isinstance(proof.prove(due=wanted, logs=[transfer(7, emitter=OVPP)]), proof.NotProven)


@pytest.mark.parametrize(
    "log",
    [
        transfer(99),
        transfer(101),
        transfer(100, emitter=OTHER),
        transfer(100, sender=STRANGER),
        transfer(100, recipient=STRANGER),
        transfer(100, sender=TREASURY, recipient=WALLET),
        transfer(100, index=None),
        events.BillPaid(
            emitter=WALLET, log_index=5, reference=b"r" * 16, payer=WALLET, token=USDX, amount_units=100, fee_units=0
        ),
        events.PayoutMade(
            emitter=USDX,
            log_index=5,
            reference=b"r" * 16,
            payer=WALLET,
            recipient=TREASURY,
            token=USDX,
            amount_units=100,
        ),
    ],
)
def test_anything_else_proves_nothing(log: events.Event) -> None:
    verdict = proof.prove(due=due(), logs=[log])
    assert isinstance(verdict, proof.NotProven)
    assert "exactly 100 base units" in verdict.reason


def test_one_log_counts_once_when_amount_and_fee_look_alike() -> None:
    wanted = due(amount_units=100, fee_units=100, fee_token=OVPP)
    assert isinstance(proof.prove(due=wanted, logs=[transfer(100), transfer(100)]), proof.NotProven)


@hypothesis.given(
    units=strategies.lists(strategies.integers(1, 5), max_size=6),
    amount=strategies.integers(1, 5),
    fee=strategies.integers(0, 5),
)
def test_proven_logs_are_distinct_and_sum_to_what_was_due(units: list[int], amount: int, fee: int) -> None:
    logs = [transfer(each, index=n, emitter=(USDX, OVPP)[n % 2]) for n, each in enumerate(units)]
    verdict = proof.prove(due=due(amount_units=amount, fee_units=fee, fee_token=OVPP), logs=logs)
    in_usdx = any(each == amount for each in units[0::2])
    in_ovpp = fee == 0 or any(each == fee for each in units[1::2])
    assert isinstance(verdict, proof.Proven) is (in_usdx and in_ovpp)
    if isinstance(verdict, proof.Proven):
        assert len({t.log_index for t in verdict.transfers}) == len(verdict.transfers)
        assert sum(t.units for t in verdict.transfers) == amount + fee
