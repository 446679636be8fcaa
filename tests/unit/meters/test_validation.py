"""What is odd is found, and what is not is left alone."""

import datetime
import zoneinfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meters.domain import estimation, registers, units, validation

KIND = validation.Kind
RULES = validation.Rules()
NOW = int(datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC).timestamp())
FIRST = NOW - 40 * 86_400
ZONE = zoneinfo.ZoneInfo("America/New_York")
SHAPE = np.array(
    [
        200,
        180,
        170,
        170,
        180,
        220,
        350,
        500,
        450,
        400,
        380,
        390,
        400,
        390,
        380,
        420,
        600,
        900,
        1100,
        1000,
        800,
        600,
        400,
        250,
    ]
)


def days(count: int, *, first: int = FIRST, seed: int = 3) -> validation.Readings:
    noise = np.random.default_rng(seed).integers(0, 40, 24 * count)
    values = (np.tile(SHAPE, count) + noise) * 1000
    return validation.Readings(
        first + 3600 * np.arange(24 * count, dtype=np.int64), np.full(24 * count, 3600, dtype=np.int64), values
    )


def changed(
    readings: validation.Readings, places: slice, factor: int | None = None, *, value: int = 0
) -> validation.Readings:
    values = readings.milli_units.copy()
    values[places] = values[places] * factor if factor else value
    return validation.Readings(readings.starts, readings.seconds, values)


def without(readings: validation.Readings, places: slice) -> validation.Readings:
    kept = np.ones(len(readings), dtype=bool)
    kept[places] = False
    return validation.Readings(readings.starts[kept], readings.seconds[kept], readings.milli_units[kept])


def check(
    readings: validation.Readings, *, since: int = FIRST, flow: units.Flow = units.Flow.DELIVERED
) -> list[validation.Finding]:
    return validation.check(readings=readings, since=since, flow=flow, now=NOW, rules=RULES)


def test_ordinary_days_ask_nothing() -> None:
    assert check(days(30)) == []
    assert check(validation.Readings(*(np.empty(0, dtype=np.int64) for _ in range(3)))) == []


def test_empty_house_is_no_moved_point() -> None:
    empty = changed(days(30), slice(20 * 24, 25 * 24), value=30_000)

    assert [one.kind for one in check(empty)] == [KIND.FROZEN]


def test_spike_from_firmware_is_found_where_it_is() -> None:
    spiked = changed(days(30), slice(500, 501), value=65_535_000)

    (found,) = check(spiked)

    assert (found.kind, found.starts, found.ends) == (KIND.SPIKE, FIRST + 500 * 3600, FIRST + 501 * 3600)
    assert found.facts["watts"] == 65_535
    assert found.kind in validation.BLOCKING


@pytest.mark.parametrize("power", [1, 2, 3])
def test_point_that_moved_is_found_as_one_span(power: int) -> None:
    moved = changed(days(30), slice(20 * 24, 30 * 24), 10**power)

    found = check(moved)

    assert [(one.kind, one.facts) for one in found if one.kind is KIND.DECIMAL] == [
        (KIND.DECIMAL, {"power_of_ten": power})
    ]
    assert KIND.SPIKE not in {one.kind for one in found}
    (decimal,) = [one for one in found if one.kind is KIND.DECIMAL]
    assert (decimal.starts, decimal.ends) == (FIRST + 20 * 86_400, FIRST + 30 * 86_400)


def test_gap_negative_high_frozen_and_late_readings_are_found() -> None:
    month = days(30)

    (gap,) = check(without(month, slice(100, 103)))
    assert (gap.kind, gap.ends - gap.starts) == (KIND.GAP, 3 * 3600)
    (negative,) = check(changed(month, slice(50, 52), value=-5_000))
    assert (negative.kind, negative.facts["lowest_milli_units"]) == (KIND.NEGATIVE, -5_000)
    assert check(changed(month, slice(50, 52), value=-5_000), flow=units.Flow.NET) == []
    assert KIND.HIGH in {one.kind for one in check(changed(month, slice(50, 51), value=20_000_000_000))}
    (frozen,) = check(changed(month, slice(48, 48 + 30), value=333_000))
    assert (frozen.kind, frozen.ends - frozen.starts) == (KIND.FROZEN, 30 * 3600)
    assert check(changed(month, slice(48, 48 + 60), value=0)) == []
    late = days(2, first=NOW - 86_400 // 2)
    assert {one.kind for one in check(late)} == {KIND.CLOCK}
    drifted = validation.Readings(month.starts + 7, month.seconds, month.milli_units)
    assert {(one.kind, one.facts["off_seconds"]) for one in check(drifted)} == {(KIND.CLOCK, 7)}


def test_overlap_is_found() -> None:
    month = days(2)
    overlapping = validation.Readings(month.starts, month.seconds + 60, month.milli_units)

    assert {one.kind for one in check(overlapping)} == {KIND.OVERLAP}


def test_old_readings_are_context_and_not_asked_again() -> None:
    spiked = changed(days(30), slice(100, 101), value=65_535_000)

    assert check(spiked, since=FIRST + 10 * 86_400) == []


def test_register_and_intervals_may_differ_by_one_percent() -> None:
    def compare(register: int, intervals: int) -> list[validation.Finding]:
        return validation.compare_register(
            starts=0, ends=1, register_milli_units=register, interval_milli_units=intervals, rules=RULES
        )

    assert compare(500_000_000, 495_000_000) == []
    assert compare(10_000_000, 9_100_000) == []
    assert [one.kind for one in compare(500_000_000, 494_000_000)] == [KIND.REGISTER]


def test_short_gap_is_a_straight_line_and_a_long_one_like_days() -> None:
    month = days(28)
    hole = without(month, slice(100, 102))
    span = (int(month.starts[100]), int(month.starts[102]))

    line = estimation.estimate(known=hole, starts=span[0], ends=span[1], zone=ZONE, interpolate_seconds=7200)

    before, after = int(month.milli_units[99]), int(month.milli_units[102])
    assert line.method is estimation.Method.INTERPOLATION
    assert line.series.milli_units.tolist() == [before + (after - before) * step // 3 for step in (1, 2)]
    assert set(line.series.qualities) == {units.Quality.INTERPOLATED}
    week = without(month, slice(14 * 24, 15 * 24))
    like = estimation.estimate(
        known=week, starts=FIRST + 14 * 86_400, ends=FIRST + 15 * 86_400, zone=ZONE, interpolate_seconds=7200
    )
    assert like.method is estimation.Method.LIKE_DAY
    truth = month.milli_units[14 * 24 : 15 * 24]
    assert int(np.abs(like.series.milli_units - truth).max()) <= 40_000
    assert set(like.series.qualities) == {units.Quality.LIKE_DAY}


def test_nothing_known_is_no_estimate() -> None:
    with pytest.raises(estimation.Inestimable):
        estimation.estimate(
            known=validation.Readings(*(np.empty(0, dtype=np.int64) for _ in range(3))),
            starts=0,
            ends=3600,
            zone=ZONE,
            interpolate_seconds=7200,
        )


@given(st.integers(0, 10**15), st.lists(st.integers(0, 1000), min_size=1, max_size=100))
def test_spread_sums_exactly(total: int, weights: list[int]) -> None:
    parts = estimation.spread(total=total, weights=np.array(weights, dtype=np.int64))

    assert int(parts.sum()) == total
    assert len(parts) == len(weights)
    assert int(parts.min()) >= 0


KWH = 10**6


def count(earlier: int, later: int, *, most_a_day: int | None = None, days_between: int = 30) -> registers.Counted:
    return registers.count(
        earlier=earlier * KWH, later=later * KWH, dials=5, seconds=days_between * 86_400, most_a_day=most_a_day
    )


def test_dial_that_goes_round_counts_on() -> None:
    assert count(99_800, 350) == registers.Counted(550 * KWH, went_round=True)
    assert count(350, 900) == registers.Counted(550 * KWH, went_round=False)
    assert count(350, 350) == registers.Counted(0, went_round=False)


@pytest.mark.parametrize(("earlier", "later"), [(48_000, 47_500), (99_800, 40_000), (50_000, 0)])
def test_lower_read_that_is_no_rollover_is_refused(earlier: int, later: int) -> None:
    with pytest.raises(registers.NotARollover):
        count(earlier, later)


def test_most_a_day_bounds_rollover_and_rise() -> None:
    assert count(99_900, 200, most_a_day=20 * KWH).milli_units == 300 * KWH
    with pytest.raises(registers.NotARollover):
        count(99_900, 900, most_a_day=20 * KWH)
    with pytest.raises(registers.TooMuch):
        count(12_345, 23_450, most_a_day=20 * KWH)
    with pytest.raises(registers.TooMuch):
        count(12_345, 123_450)


@given(st.integers(0, 99_999), st.integers(0, 20_000))
def test_what_was_used_is_counted_whether_the_dial_goes_round_or_not(start: int, used: int) -> None:
    counted = count(start, (start + used) % 100_000)

    assert counted == registers.Counted(used * KWH, went_round=start + used >= 100_000)


def test_a_spike_begins_just_above_so_many_times_what_is_usual() -> None:
    values = np.full(24 * 30, 2_000_000, dtype=np.int64)
    starts = 3600 * np.arange(len(values), dtype=np.int64)
    values[[500, 600]] = 20 * 2_000_000, 20 * 2_000_000 + 1000

    found = validation.spikes(
        readings=validation.Readings(starts, np.full(len(values), 3600), values), since=0, rules=validation.Rules()
    )

    assert [(one.starts, one.facts["watts"]) for one in found] == [(600 * 3600, 40_001)]
