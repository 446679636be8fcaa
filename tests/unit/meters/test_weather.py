"""Daily temperatures: read from CSV, and their degree days."""

import datetime

import pytest

from meters.domain import weather

DAY = datetime.date(2026, 1, 5)


def test_reads_either_scale_exactly() -> None:
    assert weather.read(text="date,mean_c\n2026-01-05,-3.25\n") == {DAY: -3250}
    assert weather.read(text="station,date,mean_f\r\nX,2026-01-05,32\r\nX,2026-01-06,50.9\r\n") == {
        DAY: 0,
        DAY + datetime.timedelta(days=1): 10_500,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no date"),
        ("date,high\n2026-01-05,3\n", "no mean_c"),
        ("date,mean_c\n2026-13-05,3\n", "Line 2"),
        ("date,mean_c\n2026-01-05,warm\n", "Line 2"),
        ("date,mean_c\n2026-01-05,\n", "Line 2"),
        ("date,mean_c\n2026-01-05\n", "Line 2"),
        ("date,mean_c\n2026-01-05,99\n", "no temperature of this earth"),
        ("date,mean_c\n2026-01-05,NaN\n", "Line 2"),
        ("date,mean_c\n2026-01-05,1\n2026-01-05,2\n", "twice"),
    ],
)
def test_refuses_by_line(text: str, words: str) -> None:
    with pytest.raises(weather.UnreadableWeather, match=words):
        weather.read(text=text)


def test_degree_days_add_up() -> None:
    found = weather.summarize(means=[10_000, 25_000, 18_500], heating_base_milli_c=18_000, cooling_base_milli_c=20_000)

    assert found == weather.Weather(3, 17_833, 8_000, 5_000)
    assert weather.summarize(means=[], heating_base_milli_c=0, cooling_base_milli_c=0) is None
