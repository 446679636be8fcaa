"""Which price is believed."""

import datetime
import decimal

import pytest

from relayer.domain import prices

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
BOUNDS = prices.Bounds(max_age=datetime.timedelta(minutes=10), max_leap_percent=30, max_deviation_percent=5)


def said(usd: str, *, minutes_ago: int = 0, source: str = "feed") -> prices.Observation:
    at = NOW - datetime.timedelta(minutes=minutes_ago)
    return prices.Observation(source=source, price_usd=decimal.Decimal(usd), observed_at=at)


def judge(*seen: prices.Observation, kept: prices.Observation | None = None) -> prices.Taken | prices.Held | None:
    return prices.judge(kept=kept, seen=seen, bounds=BOUNDS, now=NOW)


def test_the_preferred_fresh_source_is_taken() -> None:
    first, second = said("100"), said("104.99", source="page")
    assert judge(first, second) == prices.Taken(observation=first)
    old = said("100", minutes_ago=11)
    assert judge(old, second) == prices.Taken(observation=second)
    assert judge(said("100", minutes_ago=10)) is not None
    assert judge(old) is None
    assert judge() is None


def test_sources_that_differ_are_held() -> None:
    verdict = judge(said("100"), said("105.01", source="page"))
    assert isinstance(verdict, prices.Held)
    assert verdict.reason == "feed says 100 USD, page 105.01 USD: too far apart."


@pytest.mark.parametrize(("usd", "is_held"), [("130", False), ("130.01", True), ("70", False), ("69.99", True)])
def test_a_leap_is_held_while_the_price_before_is_fresh(usd: str, is_held: bool) -> None:
    verdict = judge(said(usd), kept=said("100", minutes_ago=9))
    assert isinstance(verdict, prices.Held) is is_held
    assert judge(said(usd), kept=said("100", minutes_ago=11)) == prices.Taken(observation=said(usd))
    if isinstance(verdict, prices.Held):
        assert verdict.reason == f"feed leaps from 100 USD to {usd} USD, more than 30 %."
