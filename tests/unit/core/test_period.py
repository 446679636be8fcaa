"""Local days and months on the worst days of the year."""

import datetime
import zoneinfo

import pytest

from openvpp.core import period

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        (datetime.date(2026, 3, 8), 23),
        (datetime.date(2026, 3, 9), 24),
        (datetime.date(2026, 11, 1), 25),
    ],
)
def test_day_has_the_hours_of_its_zone(day: datetime.date, hours: int) -> None:
    assert period.day_period(day=day, zone=NEW_YORK).duration == datetime.timedelta(hours=hours)


def test_month_ends_where_the_next_begins() -> None:
    december = period.month_period(year=2026, month=12, zone=NEW_YORK)
    january = period.month_period(year=2027, month=1, zone=NEW_YORK)
    assert december.ends_at == january.starts_at == datetime.datetime(2027, 1, 1, 5, tzinfo=datetime.UTC)


def test_march_is_an_hour_short() -> None:
    march = period.month_period(year=2026, month=3, zone=NEW_YORK)
    assert march.duration == datetime.timedelta(days=31) - datetime.timedelta(hours=1)


def test_end_is_outside() -> None:
    day = period.day_period(day=datetime.date(2026, 6, 1), zone=NEW_YORK)
    assert day.starts_at in day
    assert day.ends_at not in day


def test_neighbours_do_not_overlap() -> None:
    first = period.days_period(first=datetime.date(2026, 6, 1), last=datetime.date(2026, 6, 3), zone=NEW_YORK)
    second = period.day_period(day=datetime.date(2026, 6, 4), zone=NEW_YORK)
    inside = period.day_period(day=datetime.date(2026, 6, 3), zone=NEW_YORK)
    assert not first.overlaps(second)
    assert first.overlaps(inside)


def test_naive_end_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        period.Period(datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))  # noqa: DTZ001


def test_backward_period_is_refused() -> None:
    instant = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    with pytest.raises(ValueError, match="ends after it starts"):
        period.Period(instant, instant)
