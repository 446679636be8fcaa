"""Usage in hours, days and months, its gaps, and the year before."""

import datetime
import zoneinfo

import numpy as np
import pytest

from meters.domain import comparison, packing, rows, units, usage

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
FAR = 2**40


def consumption(
    *, start: int, count: int, seconds: int = 900, each: int = 250_000, quality: int = units.Quality.VALID
) -> usage.Consumption:
    """Return `count` intervals in a row of `each` thousandths of a Wh."""
    return usage.Consumption(
        starts=start + seconds * np.arange(count, dtype=np.int64),
        seconds=np.full(count, seconds, dtype=np.int64),
        delivered_milli_wh=np.full(count, each, dtype=np.int64),
        received_milli_wh=np.zeros(count, dtype=np.int64),
        qualities=np.full(count, quality, dtype=np.uint8),
    )


def midnight(year: int, month: int, day: int) -> int:
    return packing.midnight(day=datetime.date(year, month, day), zone=NEW_YORK)


def hours_of(day: datetime.date) -> list[int]:
    return rows.day_edges(first=day, after=day + datetime.timedelta(days=1), zone=NEW_YORK, step=rows.Step.HOUR)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 8), 23), ((2026, 11, 1), 25), ((2026, 6, 1), 24)])
def test_a_day_has_as_many_hours_as_its_clock_runs(day: tuple[int, int, int], hours: int) -> None:
    edges = hours_of(datetime.date(*day))

    found = rows.by_edges(read=consumption(start=edges[0], count=hours * 4), edges=edges, until=FAR)

    assert len(found) == hours
    assert {(row.delivered_milli_wh, row.quality, row.peak_milli_w) for row in found} == {
        (1_000_000, "valid", 1_000_000)
    }


def test_months_at_the_ends_are_cut_to_the_span() -> None:
    edges = rows.day_edges(
        first=datetime.date(2025, 12, 30), after=datetime.date(2026, 2, 2), zone=NEW_YORK, step=rows.Step.MONTH
    )

    assert edges == [midnight(2025, 12, 30), midnight(2026, 1, 1), midnight(2026, 2, 1), midnight(2026, 2, 2)]


def test_what_lacks_and_what_was_estimated_is_counted() -> None:
    edges = [0, 3600, 7200]
    read = consumption(start=900, count=4, quality=units.Quality.ESTIMATED)

    first, second = rows.by_edges(read=read, edges=edges, until=FAR)

    assert (first.missing, first.estimated, first.quality, first.covered_seconds) == (1, 3, "incomplete", 2700)
    assert (second.missing, second.estimated, second.quality, second.covered_seconds) == (3, 1, "incomplete", 900)


def test_what_has_not_happened_is_not_missing() -> None:
    (row,) = rows.by_edges(read=consumption(start=0, count=2), edges=[0, 3600], until=1800)

    assert (row.missing, row.quality) == (0, "valid")


def test_hours_are_not_guessed_from_longer_readings() -> None:
    read = consumption(start=0, count=2, seconds=7200)

    with pytest.raises(rows.Unshowable, match="7200 seconds cannot be told apart by 3600"):
        rows.by_edges(read=read, edges=[0, 3600, 7200, 10800, 14400], until=FAR)


def test_an_empty_span_has_no_rows() -> None:
    assert rows.by_edges(read=consumption(start=0, count=0), edges=[0, 3600], until=FAR) == []
    assert rows.by_edges(read=consumption(start=9000, count=1), edges=[0, 3600], until=FAR) == []


@pytest.mark.parametrize(
    ("day", "alignment", "expected"),
    [
        ((2026, 6, 1), comparison.Alignment.DATE, (2025, 6, 1)),
        ((2026, 6, 1), comparison.Alignment.WEEKDAY, (2025, 6, 2)),
        ((2024, 2, 29), comparison.Alignment.WEEKDAY, (2023, 3, 2)),
    ],
)
def test_counterparts(
    day: tuple[int, int, int], alignment: comparison.Alignment, expected: tuple[int, int, int]
) -> None:
    found = comparison.counterpart(day=datetime.date(*day), alignment=alignment)

    assert found == datetime.date(*expected)
    if alignment is comparison.Alignment.WEEKDAY:
        assert found.weekday() == datetime.date(*day).weekday()


def test_leap_day_has_no_counterpart_by_date_and_is_named() -> None:
    leap = datetime.date(2024, 2, 29)
    row = rows.Row(0, 86400, 5, 0, 86400, 0, 0, 0, "valid")

    compared = comparison.compare(days=[leap], now={leap: row}, before={}, alignment=comparison.Alignment.DATE)

    assert compared.days_compared == 0
    assert compared.delivered_milli_wh == (0, 0)
    assert compared.lacking_before == (comparison.LackingDay(leap, comparison.Lack.NO_COUNTERPART),)


def test_totals_hold_only_days_that_both_years_have_whole() -> None:
    days = [datetime.date(2026, 6, number) for number in (1, 2, 3)]
    whole = rows.Row(0, 86400, 10, 1, 86400, 0, 0, 0, "valid")
    broken = rows.Row(0, 86400, 99, 9, 80000, 4, 0, 0, "incomplete")
    earlier = [day.replace(year=2025) for day in days]

    compared = comparison.compare(
        days=days,
        now={days[0]: whole, days[1]: broken},
        before={earlier[0]: whole, earlier[1]: whole, earlier[2]: whole},
        alignment=comparison.Alignment.DATE,
    )

    assert compared.days_compared == 1
    assert (compared.delivered_milli_wh, compared.received_milli_wh) == ((10, 10), (1, 1))
    assert [(lack.on.day, lack.why.value) for lack in compared.lacking_now] == [(2, "incomplete"), (3, "missing")]
    assert compared.lacking_before == ()
