"""Usage told no finer than agreed: whole hours only, energy kept."""

import zoneinfo

import hypothesis
import numpy as np
from hypothesis import strategies

from meters.domain import coarsening, units, usage

ADELAIDE = zoneinfo.ZoneInfo("Australia/Adelaide")
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


def read_of(starts: list[int], seconds: int = 900, quality: int = units.Quality.VALID) -> usage.Consumption:
    count = len(starts)
    return usage.Consumption(
        starts=np.array(starts, dtype=np.int64),
        seconds=np.full(count, seconds, dtype=np.int64),
        delivered_milli_wh=np.arange(1, count + 1, dtype=np.int64),
        received_milli_wh=np.zeros(count, dtype=np.int64),
        qualities=np.full(count, quality, dtype=np.uint8),
    )


@hypothesis.given(strategies.sets(strategies.integers(0, 200), min_size=1))
def test_only_whole_hours_are_told_and_none_of_their_energy_is_lost(slots: set[int]) -> None:
    starts = [slot * 900 for slot in sorted(slots)]
    hours = {slot // 4 for slot in slots}
    whole = {hour for hour in hours if all(hour * 4 + quarter in slots for quarter in range(4))}
    energy = {start: place for place, start in enumerate(starts, start=1)}

    found = coarsening.coarsen(read=read_of(starts), seconds=3600, zone=NEW_YORK)

    assert found.starts.tolist() == sorted(hour * 3600 for hour in whole)
    assert set(found.seconds.tolist()) <= {3600}
    assert int(found.delivered_milli_wh.sum()) == sum(
        energy[hour * 3600 + quarter * 900] for hour in whole for quarter in range(4)
    )


def test_hours_are_those_of_the_clock_on_the_wall() -> None:
    found = coarsening.coarsen(
        read=read_of([1_780_000_200 // 3600 * 3600 + n * 900 for n in range(8)]), seconds=3600, zone=ADELAIDE
    )

    assert [start % 3600 for start in found.starts.tolist()] == [1800]


def test_longer_readings_stay_and_mixed_ones_say_so() -> None:
    long = read_of([0, 3600], seconds=3600)
    assert coarsening.coarsen(read=long, seconds=900, zone=NEW_YORK) is long

    mixed = read_of([0, 900, 1800, 2700])
    mixed.qualities[1] = units.Quality.ESTIMATED
    found = coarsening.coarsen(read=mixed, seconds=3600, zone=NEW_YORK)
    assert found.qualities.tolist() == [units.Quality.MIXED]
