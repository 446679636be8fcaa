"""Green Button's scopes: read, compared, written."""

import datetime
import uuid

import hypothesis
import pytest
from hypothesis import strategies

from wallets.domain import data_scopes

MOST = "FB=1_3_4_5_8_13_37_39_54;IntervalDuration=900_3600;BlockDuration=monthly;HistoryLength=34128000"


def parse(text: str) -> data_scopes.DataScope:
    return data_scopes.DataScope.parse(text)


def test_reads_what_the_standard_writes() -> None:
    found = parse("FB=4_5_8;IntervalDuration=3600;BlockDuration=daily;HistoryLength=13;SubscriptionFrequency=daily")

    assert found.blocks == {4, 5, 8}
    assert (found.finest_seconds, found.block_duration) == (3600, "daily")
    assert found.history == datetime.timedelta(days=13 * 30)
    assert (found.shares_energy, found.shares_export, found.retail_blocks) == (True, True, frozenset())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("usage:read", "reads FB="),
        ("FB=", "reads FB="),
        ("FB=4_x", "whole numbers"),
        ("FB=4_999", "999 are not shared"),
        ("FB=4_5_7", "7 are not shared"),
        ("FB=4_5_14_18_19_32_69", "14, 18, 19, 32, 69 are not shared"),
        ("FB=4_5;IntervalDuration=7000", "divides an hour"),
        ("FB=4_5;BlockDuration=yearly", "daily, monthly"),
        ("FB=4_5;HistoryLength=ever", "seconds"),
        ("FB=4_5;HistoryLength=99999999999", "seconds"),
        ("FB=4_5;Authorization=me", "UUID"),
        ("FB=4_5;" + ";".join(["BR=1"] * 99), "reads FB="),
        ("FB=4 5", "reads FB="),
    ],
)
def test_refuses_by_name(text: str, words: str) -> None:
    with pytest.raises(data_scopes.Unreadable, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("FB=4_5", True),
        ("FB=1_3_4_5_8;IntervalDuration=900;HistoryLength=34128000", True),
        ("FB=4_5_7", False),
        ("FB=4_5;IntervalDuration=300", False),
        ("FB=4_5;HistoryLength=34128001", False),
        (f"FB=4_5;Authorization={uuid.UUID(int=7)}", False),
        ("FB=4_5_60", False),
    ],
)
def test_nobody_asks_for_more_than_registered(asked: str, expected: bool) -> None:
    assert data_scopes.may_ask(asked=asked, allowed=MOST) is expected


def test_nobody_asks_without_being_registered() -> None:
    assert not data_scopes.may_ask(asked="FB=4_5", allowed="openid usage:read")


def test_two_scopes_are_none() -> None:
    assert data_scopes.find("FB=4_5 FB=4_5_8") is None


def test_what_is_left_open_is_filled_from_the_registration() -> None:
    mine = uuid.uuid4()

    granted = parse("FB=4_5").granted_from(parse(MOST), authorization_id=mine)

    assert str(granted) == (
        f"FB=4_5;IntervalDuration=900;BlockDuration=monthly;HistoryLength=34128000;Authorization={mine}"
    )


@hypothesis.given(
    strategies.sets(strategies.sampled_from(sorted(data_scopes.SUPPORTED_BLOCKS)), min_size=1),
    strategies.sampled_from([(), (300,), (900, 3600)]),
    strategies.sampled_from(data_scopes.BLOCK_DURATIONS),
    strategies.none() | strategies.integers(1000, 10**9).map(lambda seconds: datetime.timedelta(seconds=seconds)),
    strategies.none() | strategies.uuids(),
)
def test_what_is_written_reads_the_same(
    blocks: set[int],
    intervals: tuple[int, ...],
    block: str,
    history: datetime.timedelta | None,
    authorization_id: uuid.UUID | None,
) -> None:
    scope = data_scopes.DataScope(
        blocks=frozenset(blocks),
        interval_seconds=intervals,
        block_duration=block,
        history=history,
        authorization_id=authorization_id,
    )
    hypothesis.assume(len(str(scope)) <= data_scopes.LONGEST_TEXT)

    assert parse(str(scope)) == scope
