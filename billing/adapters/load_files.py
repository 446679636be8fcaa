"""Reads a year of power from a CSV file, one number of kW a row, under a heading or none."""

import datetime
import pathlib
import zoneinfo

import numpy as np
import numpy.typing as npt

from billing.domain import loads, tariffs
from openvpp.core import errors

INTERVALS_PER_HOUR = (1, 2, 4, 6, 12, 60)
_MILLIW_PER_KW = 1_000_000


class UnableToReadLoad(errors.Invalid):
    """The file is not a year of power; the detail says why."""


def read(
    *,
    path: pathlib.Path,
    generation: pathlib.Path | None = None,
    metering: tariffs.Metering | None = None,
    year: int,
    zone: zoneinfo.ZoneInfo,
) -> loads.IntervalSeries:
    """Return a year's load, with what a solar system generates taken off it where the file is given.

    Values are rounded to whole mWh per interval. With `BUY_ALL_SELL_ALL` load and generation are kept apart,
    else what is taken and given is the difference of each interval.

    :raises UnableToReadLoad: a row is no number, or the rows do not make a year.
    """
    starts_at = datetime.datetime(year, 1, 1, tzinfo=zone)
    seconds = int(datetime.datetime(year + 1, 1, 1, tzinfo=zone).timestamp()) - int(starts_at.timestamp())
    used = _column(path)
    per_hour = len(used) * loads.SECONDS_PER_HOUR / seconds
    if per_hour not in INTERVALS_PER_HOUR:
        raise UnableToReadLoad(
            f"{path} has {len(used)} rows; a year of {zone.key} in {year} has {seconds // loads.SECONDS_PER_HOUR} "
            "hours, or as many times 2, 4, 6, 12 or 60."
        )
    interval_seconds = loads.SECONDS_PER_HOUR // int(per_hour)
    taken = _milliwh(used, interval_seconds)
    given: loads.Int64s | None = None
    if generation is not None:
        made = _milliwh(_spread(_column(generation), len(used), generation), interval_seconds)
        if metering is tariffs.Metering.BUY_ALL_SELL_ALL:
            taken, given = taken + np.maximum(-made, 0), np.maximum(made, 0)
        else:
            net = taken - made
            taken, given = np.maximum(net, 0), np.maximum(-net, 0)
    return loads.IntervalSeries.regular(
        starts_at=starts_at, interval_seconds=interval_seconds, import_milliwh=taken, export_milliwh=given
    )


def _column(path: pathlib.Path) -> npt.NDArray[np.float64]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            column = np.loadtxt(file, delimiter=",", ndmin=1, skiprows=int(_is_heading(first)))
    except OSError as error:
        raise UnableToReadLoad(f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise UnableToReadLoad(f"{path}: {error}") from error
    if column.ndim != 1 or not bool(np.isfinite(column).all()):
        raise UnableToReadLoad(f"{path} is not one column of finite numbers.")
    return column


def _is_heading(row: str) -> bool:
    try:
        float(row)
    except ValueError:
        return any(letter.isalpha() for letter in row)
    return False


def _spread(column: npt.NDArray[np.float64], rows: int, path: pathlib.Path) -> npt.NDArray[np.float64]:
    """Return hourly power at the intervals of the load."""
    if rows % len(column):
        raise UnableToReadLoad(f"{path} has {len(column)} rows, the load {rows}.")
    return column.repeat(rows // len(column))


def _milliwh(kilowatts: npt.NDArray[np.float64], interval_seconds: int) -> loads.Int64s:
    return np.rint(kilowatts * (_MILLIW_PER_KW * interval_seconds / loads.SECONDS_PER_HOUR)).astype(np.int64)
