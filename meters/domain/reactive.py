"""Reactive energy beside energy: what the meter says in varh, or what apparent energy leaves of it."""

import math

import numpy as np

from meters.domain import packing, usage


def on_grid(*, parts: list[usage.Intervals], starts: packing.Int64s, seconds: packing.Int64s) -> packing.Int64s:
    """Add channels up by the intervals of a grid, thousandths of the unit; a channel's shorter intervals are summed.

    :raises packing.Unpackable: an interval of the grid is not covered by each channel; the words say which.
    """
    total = np.zeros(len(starts), dtype=np.int64)
    for part in parts:
        place = np.searchsorted(starts, part.starts, side="right") - 1
        known = np.maximum(place, 0)
        fits = (place >= 0) & (part.starts + part.seconds <= starts[known] + seconds[known])
        covered = np.zeros(len(starts), dtype=np.int64)
        np.add.at(covered, place[fits], part.seconds[fits])
        if not np.array_equal(covered, seconds):
            first = packing.instant(int(starts[np.argmax(covered != seconds)]))
            raise packing.Unpackable(f"There is no reactive energy for the interval from {first}.")
        np.add.at(total, place[fits], part.milli_units[fits])
    return total


def of_apparent(*, apparent: packing.Int64s, active: packing.Int64s) -> packing.Int64s:
    """Return what is left of apparent energy beside active energy, each squared: rounded down, zero where none is."""
    return np.array(
        [
            math.isqrt(max(int(whole) ** 2 - int(part) ** 2, 0))
            for whole, part in zip(apparent.tolist(), active.tolist(), strict=True)
        ],
        dtype=np.int64,
    )
