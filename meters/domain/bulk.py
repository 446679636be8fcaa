"""Whole days of many channels at once: packed, and written as PostgreSQL's binary COPY, without a loop over rows."""

import datetime
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from meters.domain import packing, units

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_POSTGRES_EPOCH_DAYS = (datetime.date(2000, 1, 1) - datetime.date(1970, 1, 1)).days
_MOST = {2: 2**15 - 1, 4: 2**31 - 1}
_SCALES = np.array([1, 10, 100, 1000, 10_000], dtype=np.int64)
_SIZES = {"account": 8, "channel": 4, "date": 4, "batch": 4, "scale": 2, "interval": 2, "offset": 2, "qualities": 1}
_FIELDS = len(_SIZES) + 1

type Matrix = npt.NDArray[np.int64]


def to_copy(
    *,
    channel_ids: Sequence[int] | packing.Int64s,
    account_ids: Sequence[int] | packing.Int64s,
    dates: npt.NDArray[np.datetime64],
    batch_id: int,
    interval_seconds: int,
    milli_units: Matrix,
    quality: units.Quality,
) -> bytes:
    """Return rows of MeterDay as binary COPY: `milli_units` [rows, intervals of a day], all of one quality.

    Columns are those of `MeterDay.COLUMNS`. Days are those that begin at local midnight. Rows share one scale, a
    power of ten.

    :raises packing.Unpackable: a value does not fit four bytes at that scale.
    """
    scale, highest, lowest = _measure(milli_units, _SCALES)
    width = next((w for w, most in _MOST.items() if highest // scale <= most and lowest // scale >= -most - 1), 0)
    if not width:
        raise packing.Unpackable("A value is too large for a bulk row.")
    rows = np.zeros(len(milli_units), dtype=_row_type(intervals=milli_units.shape[1], width=width))
    rows["fields"] = _FIELDS
    for name, size in _SIZES.items():
        rows[f"{name}_size"] = size
    rows["account"], rows["channel"], rows["batch"] = account_ids, channel_ids, batch_id
    rows["date"] = dates.astype("datetime64[D]").astype(np.int64) - _POSTGRES_EPOCH_DAYS
    rows["scale"], rows["interval"], rows["qualities"] = scale, interval_seconds, quality
    rows["counts_size"] = milli_units.shape[1] * width
    counts = np.empty(milli_units.shape, dtype=f"<i{width}")
    _divide(milli_units, scale, counts)
    rows["counts"] = counts
    return _HEADER + rows.tobytes() + _TRAILER


@numba.njit(cache=True, nogil=True)
def _measure(values, scales):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the largest scale that divides every value, the highest value and the lowest."""
    place = len(scales) - 1
    highest, lowest = np.int64(0), np.int64(0)
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            value = values[row, i]
            highest, lowest = max(highest, value), min(lowest, value)
            while value % scales[place]:
                place -= 1
    return scales[place], highest, lowest


@numba.njit(cache=True, nogil=True)
def _divide(values, scale, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            counts[row, i] = values[row, i] // scale


def _row_type(*, intervals: int, width: int) -> np.dtype[np.void]:
    columns: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [("fields", ">i2")]
    for name, size in _SIZES.items():
        columns += [(f"{name}_size", ">i4"), (name, f">i{size}" if size > 1 else "u1")]
    columns += [("counts_size", ">i4"), ("counts", f"<i{width}", (intervals,))]
    return np.dtype(columns)
