"""The 10-in-10 baseline against vectors that were worked out by hand."""

import datetime
import fractions
import zoneinfo
from collections.abc import Callable, Iterable

import pytest

from openvpp.core import period
from programs.domain import baseline

ZONE = zoneinfo.ZoneInfo("America/New_York")
F = fractions.Fraction


def local(day: datetime.date, hour: int, minute: int = 0, fold: int = 0) -> datetime.datetime:
    return datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE, fold=fold)


def window(day: datetime.date, first_hour: int = 17, hours: int = 1) -> period.Period:
    return period.Period(local(day, first_hour), local(day, first_hour) + datetime.timedelta(hours=hours))


def measure(
    days: Iterable[datetime.date], value: Callable[[datetime.date, int], int], hour: int = 17
) -> dict[datetime.datetime, int]:
    return {
        local(day, hour, 15 * quarter).astimezone(datetime.UTC): value(day, quarter)
        for day in days
        for quarter in range(4)
    }


# Wednesday 16 July 2025: the ten working days before it are 2-3 and 7-11 and 14-15 July and 1 July, with the holiday.
EVENT_DAY = datetime.date(2025, 7, 16)
FOURTH = datetime.date(2025, 7, 4)
TEN = [datetime.date(2025, 7, day) for day in (15, 14, 11, 10, 9, 8, 7, 3, 2, 1)]


def test_the_ten_latest_working_days_leave_out_weekends_and_holidays() -> None:
    days = baseline.like_days(event_day=EVENT_DAY, holidays={FOURTH}, excluded=set())
    assert [day for _, day in zip(range(10), days, strict=False)] == TEN


def test_an_event_on_a_weekend_looks_at_weekends_and_holidays() -> None:
    days = baseline.like_days(event_day=datetime.date(2025, 7, 13), holidays={FOURTH}, excluded=set())
    assert [day for _, day in zip(range(6), days, strict=False)] == [
        datetime.date(2025, 7, 12),
        datetime.date(2025, 7, 6),
        datetime.date(2025, 7, 5),
        FOURTH,
        datetime.date(2025, 6, 29),
        datetime.date(2025, 6, 28),
    ]


def test_the_baseline_is_the_plain_mean_of_each_interval() -> None:
    # Day i of the ten (0 = latest) uses 1000 + 10 i Wh in the first quarter and 100 less in each following one:
    # the mean of i is 4.5, so 1045, 945, 845, 745 Wh.
    measured = measure(TEN, lambda day, quarter: 1000 + 10 * TEN.index(day) - 100 * quarter)
    result = baseline.compute(
        window=window(EVENT_DAY), zone=ZONE, holidays={FOURTH}, excluded=set(), measured_wh=measured, min_days=10
    )
    assert result == baseline.Baseline(days=tuple(TEN), interval_wh=(F(1045), F(945), F(845), F(745)))


def test_the_mean_is_exact() -> None:
    # Nine days of 100 Wh and one of 101: 100.1 Wh.
    measured = measure(TEN, lambda day, _: 101 if day == TEN[3] else 100)
    result = baseline.compute(
        window=window(EVENT_DAY), zone=ZONE, holidays={FOURTH}, excluded=set(), measured_wh=measured, min_days=10
    )
    assert isinstance(result, baseline.Baseline)
    assert result.interval_wh == (F(1001, 10),) * 4


def test_days_of_other_events_and_days_with_a_gap_are_left_out() -> None:
    # 15 July had an event, 10 July lacks its last quarter: 30 June and 27 June come in their place.
    further = [datetime.date(2025, 6, 30), datetime.date(2025, 6, 27)]
    measured = measure([*TEN, *further], lambda day, _: 9999 if day == TEN[0] else 200)
    del measured[local(datetime.date(2025, 7, 10), 17, 45).astimezone(datetime.UTC)]
    result = baseline.compute(
        window=window(EVENT_DAY), zone=ZONE, holidays={FOURTH}, excluded={TEN[0]}, measured_wh=measured, min_days=10
    )
    expected = tuple(day for day in TEN if day not in {TEN[0], datetime.date(2025, 7, 10)}) + tuple(further)
    assert result == baseline.Baseline(days=expected, interval_wh=(F(200),) * 4)


def test_fewer_than_ten_days_are_said_to_be_too_few() -> None:
    measured = measure(TEN[:9], lambda *_: 200)

    def compute(min_days: int) -> baseline.Baseline | baseline.TooFewDays:
        return baseline.compute(
            window=window(EVENT_DAY),
            zone=ZONE,
            holidays={FOURTH},
            excluded=set(),
            measured_wh=measured,
            min_days=min_days,
        )

    assert compute(10) == baseline.TooFewDays(days=tuple(TEN[:9]))
    assert compute(9) == baseline.Baseline(days=tuple(TEN[:9]), interval_wh=(F(200),) * 4)


def test_the_search_ends_after_sixty_days() -> None:
    old = [EVENT_DAY - datetime.timedelta(days=61 + 7 * week) for week in range(10)]
    result = baseline.compute(
        window=window(EVENT_DAY),
        zone=ZONE,
        holidays=set(),
        excluded=set(),
        measured_wh=measure(old, lambda *_: 1),
        min_days=1,
    )
    assert result == baseline.TooFewDays(days=())


def test_the_clock_time_counts_across_a_change_of_clocks() -> None:
    # Wednesday 12 March 2025; clocks went forward on the 9th. 17:00 is 21:00 UTC on the 10th and 22:00 UTC before.
    event_day = datetime.date(2025, 3, 12)
    days = [datetime.date(2025, 3, day) for day in (11, 10, 7, 6, 5, 4, 3)] + [
        datetime.date(2025, 2, day) for day in (28, 27, 26)
    ]
    measured = {
        datetime.datetime(
            day.year,
            day.month,
            day.day,
            22 if day < datetime.date(2025, 3, 9) else 21,
            quarter * 15,
            tzinfo=datetime.UTC,
        ): 50
        for day in days
        for quarter in range(4)
    }
    result = baseline.compute(
        window=window(event_day), zone=ZONE, holidays=set(), excluded=set(), measured_wh=measured, min_days=10
    )
    assert result == baseline.Baseline(days=tuple(days), interval_wh=(F(50),) * 4)


def test_a_23_hour_day_lacks_the_hour_that_an_event_asks_about() -> None:
    # Sunday 16 March 2025, 02:00-03:00: on Sunday the 9th there was no such hour; Saturday the 15th and 8th had it.
    event_day = datetime.date(2025, 3, 16)
    days = [datetime.date(2025, 3, 15), datetime.date(2025, 3, 8)]
    measured = measure(days, lambda *_: 70, hour=2)
    result = baseline.compute(
        window=window(event_day, first_hour=2),
        zone=ZONE,
        holidays=set(),
        excluded=set(),
        measured_wh=measured,
        min_days=2,
    )
    assert result == baseline.Baseline(days=tuple(days), interval_wh=(F(70),) * 4)


def test_a_25_hour_day_uses_the_same_clock_time_twice() -> None:
    # Sunday 2 November 2025 has 01:00-02:00 twice: two hours of window, both against 01:00-02:00 of other days.
    event_day = datetime.date(2025, 11, 2)
    span = period.Period(local(event_day, 1), local(event_day, 2))
    day = datetime.date(2025, 11, 1)
    measured = measure([day], lambda _, quarter: 10 + quarter, hour=1)
    result = baseline.compute(window=span, zone=ZONE, holidays=set(), excluded=set(), measured_wh=measured, min_days=1)
    assert result == baseline.Baseline(days=(day,), interval_wh=(F(10), F(11), F(12), F(13)) * 2)


def test_a_window_that_cuts_an_interval_is_refused() -> None:
    span = period.Period(local(EVENT_DAY, 17, 5), local(EVENT_DAY, 18))
    with pytest.raises(ValueError, match="quarter of an hour"):
        baseline.intervals(window=span)
