"""Whole days of many channels at once: packed, and written as PostgreSQL's binary COPY, without a loop over rows."""

import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from meters.domain import packing, units

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_POSTGRES_EPOCH_DAYS = (datetime.date(2000, 1, 1) - datetime.date(1970, 1, 1)).days
_INT16_MAX = 2**15 - 1
_INT32_MAX = 2**31 - 1
_FIELDS = 11

type Matrix = npt.NDArray[np.int64]


def scales_of(milli_units: Matrix) -> packing.Int64s:
    """Return, for each row, the largest number that divides all of its values and fits the column; at least 1."""
    ladder = np.ones(len(milli_units), dtype=np.int64)
    for step in (1000, 10, 10):
        finer = ladder * step
        ladder = np.where((milli_units % finer[:, None] == 0).all(axis=1), finer, ladder)
    return ladder


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

    Columns are those of `MeterDay.COLUMNS`. Days are those that begin at local midnight.

    :raises packing.Unpackable: a value does not fit four bytes at its row's scale.
    """
    scales = scales_of(milli_units)
    counts = milli_units // scales[:, None]
    highest, lowest = int(counts.max(initial=0)), int(counts.min(initial=0))
    if highest > _INT32_MAX or lowest < -_INT32_MAX - 1:
        raise packing.Unpackable("A value is too large for a bulk row.")
    width = 2 if highest <= _INT16_MAX and lowest >= -_INT16_MAX - 1 else 4
    rows = np.zeros(len(counts), dtype=_row_type(intervals=counts.shape[1], width=width))
    rows["fields"] = _FIELDS
    for name, size in _SIZES.items():
        rows[f"{name}_size"] = size
    rows["counts_size"] = counts.shape[1] * width
    rows["account"], rows["channel"], rows["batch"] = account_ids, channel_ids, batch_id
    rows["date"] = dates.astype("datetime64[D]").astype(np.int64) - _POSTGRES_EPOCH_DAYS
    rows["interval"], rows["scale"], rows["version"], rows["width"] = interval_seconds, scales, 1, width
    rows["qualities"], rows["counts"] = quality, counts
    return _HEADER + rows.tobytes() + _TRAILER


_SIZES = {
    "account": 8,
    "channel": 4,
    "date": 4,
    "batch": 4,
    "interval": 4,
    "scale": 4,
    "version": 2,
    "offset": 2,
    "width": 2,
    "qualities": 1,
}


def _row_type(*, intervals: int, width: int) -> np.dtype[np.void]:
    columns: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [("fields", ">i2")]
    for name, size in _SIZES.items():
        columns += [(f"{name}_size", ">i4"), (name, f">i{size}" if size > 1 else "u1")]
    columns += [("counts_size", ">i4"), ("counts", f"<i{width}", (intervals,))]
    return np.dtype(columns)
