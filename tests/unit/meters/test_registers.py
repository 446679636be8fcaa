"""What a dial counted: forward, round, never back; exact at its last digit."""

import pytest

from meters.domain import registers

KWH = 10**6
DAY = 86_400


def counted(earlier: int, later: int, *, dials: int = 5, days: int = 30, most: int | None = None) -> registers.Counted:
    return registers.count(
        earlier=earlier * KWH,
        later=later * KWH,
        dials=dials,
        seconds=days * DAY,
        most_a_day=None if most is None else most * KWH,
    )


def test_a_dial_goes_round_at_its_last_digit() -> None:
    assert counted(99_999, 0) == registers.Counted(1 * KWH, went_round=True)
    assert counted(99_998, 99_999) == registers.Counted(1 * KWH, went_round=False)
    assert counted(7, 7) == registers.Counted(0, went_round=False)
    assert registers.whole(dials=5) == 100_000 * KWH


@pytest.mark.parametrize(("earlier", "later"), [(100_000, 100_001), (5, 100_000)])
def test_more_digits_than_the_dial_has_are_too_much(earlier: int, later: int) -> None:
    with pytest.raises(registers.TooMuch, match="5 digits"):
        counted(earlier, later)


def test_without_a_limit_a_quarter_of_the_dial_is_a_rollover_and_no_more() -> None:
    assert counted(75_000, 0) == registers.Counted(25_000 * KWH, went_round=True)
    with pytest.raises(registers.NotARollover):
        counted(74_999, 0)


def test_a_limit_a_day_bounds_both_ways() -> None:
    assert counted(99_990, 290, most=10) == registers.Counted(300 * KWH, went_round=True)
    assert counted(0, 300, most=10) == registers.Counted(300 * KWH, went_round=False)
    with pytest.raises(registers.NotARollover):
        counted(99_990, 291, most=10)
    with pytest.raises(registers.TooMuch):
        counted(0, 301, most=10)
