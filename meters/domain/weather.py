"""The weather of local days beside usage: mean temperature and degree days, in thousandths of a degree Celsius."""

import csv
import dataclasses
import datetime
import decimal
import io
from collections.abc import Iterable

MOST_DAYS = 40_000
_MILLI = 1000
_HOTTEST, _COLDEST = 70_000, -95_000
_COLUMNS = {"mean_c": (decimal.Decimal(0), decimal.Decimal(1)), "mean_f": (decimal.Decimal(32), decimal.Decimal(5) / 9)}


class UnreadableWeather(ValueError):
    """The file is no table of days and temperatures; the words say where."""


@dataclasses.dataclass(frozen=True, slots=True)
class Weather:
    """Of some days: how many of them are known, their mean, and how far below and above the bases they add up to."""

    days: int
    mean_milli_c: int
    heating_milli_degree_days: int
    cooling_milli_degree_days: int


def read(*, text: str) -> dict[datetime.date, int]:
    """Return the mean temperature of each day of a CSV with the columns `date` and `mean_c` or `mean_f`.

    :raises UnreadableWeather: a column is missing, a value is none or no temperature of this earth, a day is twice.
    """
    rows = csv.DictReader(io.StringIO(text))
    names = set(rows.fieldnames or ())
    column = next((name for name in _COLUMNS if name in names), None)
    if column is None or "date" not in names:
        raise UnreadableWeather("The header names no date and no mean_c or mean_f.")
    zero, factor = _COLUMNS[column]
    found: dict[datetime.date, int] = {}
    for number, row in enumerate(rows, start=2):
        try:
            day = datetime.date.fromisoformat(row["date"] or "")
            milli = round((decimal.Decimal(row[column] or "") - zero) * factor * _MILLI)
        except (ValueError, ArithmeticError, TypeError) as error:
            raise UnreadableWeather(f"Line {number} holds no day and temperature.") from error
        if not _COLDEST <= milli <= _HOTTEST:
            raise UnreadableWeather(f"Line {number}: {row[column]} is no temperature of this earth.")
        if day in found:
            raise UnreadableWeather(f"Line {number}: {day} is there twice.")
        if len(found) == MOST_DAYS:
            raise UnreadableWeather(f"There are more than {MOST_DAYS} days.")
        found[day] = milli
    return found


def summarize(*, means: Iterable[int], heating_base_milli_c: int, cooling_base_milli_c: int) -> Weather | None:
    """Return the weather of some days by their means, or None of none."""
    known = list(means)
    if not known:
        return None
    return Weather(
        days=len(known),
        mean_milli_c=round(sum(known) / len(known)),
        heating_milli_degree_days=sum(max(heating_base_milli_c - mean, 0) for mean in known),
        cooling_milli_degree_days=sum(max(mean - cooling_base_milli_c, 0) for mean in known),
    )
