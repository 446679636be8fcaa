"""The period in which spending counts is the contract's, to the second."""

import datetime

import hypothesis
import pytest
from hypothesis import strategies

from contracts.bindings import sessions
from wallets.domain import grant_period

START = datetime.datetime(2026, 3, 7, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("after", "expected"), [(0, 0), (3599, 0), (3600, 3600), (3600.999, 3600), (7199.5, 3600), (7200, 7200)]
)
def test_periods_are_half_open(after: float, expected: int) -> None:
    now = START + datetime.timedelta(seconds=after)
    found = grant_period.started_at(starts_at=START, period_seconds=3600, now=now)
    assert found == START + datetime.timedelta(seconds=expected)


def test_no_period_is_one_for_the_whole_life() -> None:
    now = START + datetime.timedelta(days=400)
    assert grant_period.started_at(starts_at=START, period_seconds=0, now=now) == START


def test_before_the_start_there_is_none() -> None:
    with pytest.raises(ValueError, match="not started"):
        grant_period.started_at(
            starts_at=START, period_seconds=3600, now=START - datetime.timedelta(microseconds=1_000_001)
        )


@hypothesis.given(seconds=strategies.integers(0, 10**9), period=strategies.integers(3600, 10**8))
def test_it_is_the_period_of_the_policy(seconds: int, period: int) -> None:
    policy = sessions.SessionPolicy(
        key=b"k" * 20,
        payee=b"p" * 20,
        token=b"t" * 20,
        max_per_payment_units=1,
        max_per_period_units=1,
        max_total_units=1,
        max_fee_units=0,
        starts_at=int(START.timestamp()),
        ends_at=2**40 - 1,
        period_seconds=period,
        salt=0,
    )
    now = START + datetime.timedelta(seconds=seconds)
    found = grant_period.started_at(starts_at=START, period_seconds=period, now=now)
    counted = policy.period_at(timestamp=int(now.timestamp()))
    assert found == START + datetime.timedelta(seconds=counted * period)
