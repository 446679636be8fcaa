"""Whole days of many channels at once: packed, and written as PostgreSQL's binary COPY, without a loop over rows."""

import datetime
from collections.abc import Iterator, Sequence

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
_ROWS_AT_ONCE = 4096  # about a megabyte, which stays near the processor while PostgreSQL stores the one before
_EXACT = 2**52

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
) -> Iterator[bytes]:
    """Return rows of MeterDay as binary COPY, in pieces: `milli_units` [rows, intervals of a day], all of one quality.

    Columns are those of `MeterDay.COLUMNS`. Days are those that begin at local midnight. Rows share one scale, a
    power of ten.

    :raises packing.Unpackable: a value does not fit four bytes at that scale.
    """
    highest, lowest = int(milli_units.max(initial=0)), int(milli_units.min(initial=0))
    scale = _common_scale(milli_units, _SCALES) if max(highest, -lowest) < _EXACT else 1
    width = next((w for w, most in _MOST.items() if highest // scale <= most and lowest // scale >= -most - 1), 0)
    if not width:
        raise packing.Unpackable("A value is too large for a bulk row.")
    rows = np.zeros(min(len(milli_units), _ROWS_AT_ONCE), dtype=_row_type(intervals=milli_units.shape[1], width=width))
    rows["fields"] = _FIELDS
    for name, size in _SIZES.items():
        rows[f"{name}_size"] = size
    rows["batch"], rows["scale"], rows["interval"], rows["qualities"] = batch_id, scale, interval_seconds, quality
    rows["counts_size"] = milli_units.shape[1] * width
    days = dates.astype("datetime64[D]").astype(np.int64) - _POSTGRES_EPOCH_DAYS
    accounts, channels = np.asarray(account_ids), np.asarray(channel_ids)

    def pieces() -> Iterator[bytes]:
        yield _HEADER
        for first in range(0, len(milli_units), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            piece = rows[: len(milli_units[part])]
            piece["account"], piece["channel"], piece["date"] = accounts[part], channels[part], days[part]
            counts = np.empty(milli_units[part].shape, dtype=f"<i{width}")
            _divide(milli_units[part], scale, counts)
            piece["counts"] = counts
            yield piece.tobytes()
        yield _TRAILER

    return pieces()


@numba.njit(cache=True, nogil=True)
def _common_scale(values, scales):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the largest scale that divides every value; below 2**52 doubles hold each of them exactly."""
    for place in range(len(scales) - 1, 0, -1):
        scale, divides = float(scales[place]), True
        for row in range(values.shape[0]):
            left = 0.0
            for i in range(values.shape[1]):
                value = float(values[row, i])
                left += abs(np.floor(value / scale) * scale - value)
            if left:
                divides = False
                break
        if divides:
            return scales[place]
    return scales[0]


@numba.njit(cache=True, nogil=True)
def _divide(values, scale, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Divide exactly: a double holds each value and, as `scale` divides it, the quotient."""
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            counts[row, i] = int(float(values[row, i]) / float(scale))


def _row_type(*, intervals: int, width: int) -> np.dtype[np.void]:
    columns: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [("fields", ">i2")]
    for name, size in _SIZES.items():
        columns += [(f"{name}_size", ">i4"), (name, f">i{size}" if size > 1 else "u1")]
    columns += [("counts_size", ">i4"), ("counts", f"<i{width}", (intervals,))]
    return np.dtype(columns)
