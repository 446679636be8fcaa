"""Which policies cover an operation, in which period, who is asked first, and how long a budget lasts."""

import datetime
import uuid
import zoneinfo
from typing import Any

import pytest

from contracts.bindings import accounts, tokens
from relayer.domain import sponsoring

UTC, NEW_YORK = zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo("America/New_York")
NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
WALLET, OTHER = "0x" + "11" * 20, "0x" + "22" * 20
PAYING = sponsoring.Request(wallet=WALLET, methods=(sponsoring.BILL_PAYMENT,))


def policy(**terms: Any) -> sponsoring.Policy:
    defaults: dict[str, Any] = {
        "id": uuid.uuid4(),
        "name": "Tests",
        "period": sponsoring.Period.DAY,
        "zone": UTC,
        "starts_at": NOW - datetime.timedelta(days=100),
    }
    return sponsoring.Policy(**defaults | terms)


def hours(window: sponsoring.Window) -> float:
    assert window.ends_at is not None
    return (window.ends_at - window.starts_at).total_seconds() / 3600


def test_a_day_is_the_utilitys_own_also_when_the_clock_changes() -> None:
    assert hours(policy().window(now=NOW)) == 24
    # 1 November 2026 has 25 hours in New York, 8 March 23.
    autumn = policy(zone=NEW_YORK).window(now=NOW)
    assert hours(autumn) == 25
    assert autumn.starts_at == datetime.datetime(2026, 11, 1, 4, tzinfo=datetime.UTC)
    spring = policy(zone=NEW_YORK).window(now=datetime.datetime(2026, 3, 8, 12, tzinfo=datetime.UTC))
    assert hours(spring) == 23
    late = datetime.datetime(2026, 11, 2, 3, tzinfo=datetime.UTC)
    assert policy(zone=NEW_YORK).window(now=late) == autumn
    assert policy(zone=NEW_YORK).window(now=late + datetime.timedelta(hours=2)).starts_at == autumn.ends_at


def test_a_month_goes_on_over_new_year_and_the_whole_lasts_as_long_as_its_policy() -> None:
    december = datetime.datetime(2026, 12, 31, 23, 59, tzinfo=datetime.UTC)
    window = policy(period=sponsoring.Period.MONTH).window(now=december)
    assert window.starts_at == datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)
    assert window.ends_at == datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    whole = policy(period=sponsoring.Period.WHOLE)
    assert whole.window(now=december) == sponsoring.Window(starts_at=whole.starts_at, ends_at=None)


@pytest.mark.parametrize(
    ("terms", "is_covered"),
    [
        ({}, True),
        ({"wallet": WALLET}, True),
        ({"wallet": OTHER}, False),
        ({"method": sponsoring.BILL_PAYMENT}, True),
        ({"method": "0x12345678"}, False),
        ({"starts_at": NOW}, True),
        ({"starts_at": NOW + datetime.timedelta(seconds=1)}, False),
        ({"ends_at": NOW}, False),
        ({"ends_at": NOW + datetime.timedelta(seconds=1)}, True),
    ],
)
def test_what_a_policy_covers(terms: dict[str, Any], is_covered: bool) -> None:
    assert policy(**terms).covers(PAYING, now=NOW) is is_covered


def test_a_batch_is_covered_only_if_each_of_its_calls_is() -> None:
    token = bytes.fromhex("33" * 20)
    transfer = accounts.Call(to=token, data=tokens.encode_transfer(to=token, amount_units=1))
    strange = accounts.Call(to=token, data=b"\x01\x02\x03\x04")
    selector = "0x" + transfer.data[:4].hex()
    address = "0x" + token.hex()
    for calls, expected in (([transfer, transfer], True), ([transfer, strange], False)):
        methods = sponsoring.methods_of(call_data=accounts.encode_execute_batch(calls=calls))
        assert methods[0] == f"{address}:{selector}"
        request = sponsoring.Request(wallet=WALLET, methods=methods)
        assert policy(method=selector).covers(request, now=NOW) is expected
        assert policy(method=f"{address}:{selector}").covers(request, now=NOW) is expected
        assert not policy(method=f"0x{'44' * 20}:{selector}").covers(request, now=NOW)
    assert sponsoring.methods_of(call_data=b"\x01\x02\x03\x04rest") == ("0x01020304",)
    empty = sponsoring.Request(wallet=WALLET, methods=())
    assert not policy(method=selector).covers(empty, now=NOW)


def test_programs_are_asked_first_in_their_order_and_the_utility_last() -> None:
    one, two = uuid.uuid4(), uuid.uuid4()
    own, ones, twos = policy(), policy(program=one), policy(program=two, wallet=OTHER)
    every = [own, ones, twos]

    def ask(policies: list[sponsoring.Policy], *, pays: bool = True) -> list[uuid.UUID | None]:
        found = sponsoring.offers(policies=policies, programs=(two, one), utility_pays=pays, request=PAYING, now=NOW)
        return [offer.program for offer in found]

    assert ask(every) == [one, None]  # program two pays for another wallet
    assert ask(every, pays=False) == [one]
    assert ask([]) == [None]  # without any policy the utility pays
    assert ask([policy(wallet=OTHER)]) == []  # with some it pays for what they cover
    assert ask([ones]) == [one, None]
    assert ask([], pays=False) == []


@pytest.mark.parametrize(
    ("text", "is_method"),
    [
        ("bill_payment", True),
        ("0xa9059cbb", True),
        (f"0x{'1' * 40}:0xa9059cbb", True),
        ("transfer", False),
        ("0xa9059cb", False),
        (f"0x{'1' * 40}", False),
        ("", False),
    ],
)
def test_methods_are_written_in_three_ways(text: str, is_method: bool) -> None:
    assert sponsoring.is_method(text) is is_method


def test_a_forecast_goes_on_as_of_late() -> None:
    week = datetime.timedelta(days=7)
    found = sponsoring.pace(spent=700, over=week, left=150, ends_at=None, now=NOW)
    assert found == sponsoring.Pace(per_day=100, lasts_until=NOW + datetime.timedelta(hours=36))
    ends = NOW + datetime.timedelta(hours=36)
    assert sponsoring.pace(spent=700, over=week, left=150, ends_at=ends, now=NOW).lasts_until is None
    assert sponsoring.pace(spent=700, over=week, left=0, ends_at=ends, now=NOW).lasts_until == NOW
    assert sponsoring.pace(spent=0, over=week, left=5, ends_at=None, now=NOW) == sponsoring.Pace(
        per_day=0, lasts_until=None
    )
    assert sponsoring.pace(spent=1, over=week, left=10**30, ends_at=None, now=NOW).lasts_until is None
