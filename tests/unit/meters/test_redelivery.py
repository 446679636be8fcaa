"""Deliveries of a day in any order, again and with other values, on the days on which clocks change, in ten zones."""

import datetime
import os
import zoneinfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meters.domain import delivery as deliveries
from meters.domain import packing, staging, units, unpacking
from tests.unit.meters.test_packing import ZONES

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
SECONDS = 1800


def changing_days(zone: zoneinfo.ZoneInfo) -> list[datetime.date]:
    days = [datetime.date(2023, 1, 1) + datetime.timedelta(days=day) for day in range(365)]
    return [
        day
        for day in days
        if packing.midnight(day=day + datetime.timedelta(days=1), zone=zone) - packing.midnight(day=day, zone=zone)
        != packing.SECONDS_PER_DAY
    ]


def joined(days: list[packing.Day], zone: zoneinfo.ZoneInfo) -> unpacking.Unpacked:
    heads = np.array(
        [
            (
                (day.local_date - datetime.date(2000, 1, 1)).days,
                day.interval_seconds,
                day.offset_seconds,
                day.scale,
                len(day.qualities),
                len(day.counts),
            )
            for day in days
        ],
        dtype=unpacking.HEAD,
    )
    return unpacking.unpack(
        heads=[heads.tobytes()],
        qualities=[day.qualities for day in days],
        counts=[day.counts for day in days],
        zone=zone,
    )


@given(zone_name=st.sampled_from(ZONES), data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_last_delivered_value_of_each_interval_holds(zone_name: str, data: st.DataObject) -> None:
    zone = zoneinfo.ZoneInfo(zone_name)
    day = data.draw(st.sampled_from(changing_days(zone)))
    first = packing.midnight(day=day, zone=zone)
    count = (packing.midnight(day=day + datetime.timedelta(days=1), zone=zone) - first) // SECONDS
    known: dict[int, int] = {}
    stored: packing.Day | None = None
    replaced = 0
    for places in data.draw(st.lists(st.sets(st.integers(0, count - 1), min_size=1), min_size=1, max_size=5)):
        values = {place: data.draw(st.integers(-(10**13), 10**13)) for place in sorted(places)}
        series = packing.Series(
            SECONDS,
            first + SECONDS * np.array(list(values), dtype=np.int64),
            np.array(list(values.values()), dtype=np.int64),
            np.full(len(values), units.Quality.RAW, dtype=np.uint8),
        )
        (packed,) = packing.pack(series=series, zone=zone)
        newer = packing.overlay(old=stored, new=packed) if stored else packed
        assert (newer is None) == (stored is not None and all(known.get(at) == value for at, value in values.items()))
        replaced += newer is not None and stored is not None
        stored, known = newer or stored, known | values
        assert packing.overlay(old=stored or packed, new=packed) is None

    assert stored is not None
    found = joined([stored], zone).intervals
    assert dict(zip(((found.starts - first) // SECONDS).tolist(), found.milli_units.tolist(), strict=True)) == known
    assert set(found.seconds.tolist()) == {SECONDS}


@given(
    zone_name=st.sampled_from(ZONES),
    lengths=st.lists(st.sampled_from([300, 900, 1800, 3600]), min_size=1, max_size=4),
    most=st.sampled_from([10**3, 10**8, 10**13]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_days_joined_by_the_server_are_the_days_one_by_one(
    zone_name: str, lengths: list[int], most: int, seed: int
) -> None:
    zone, numbers = zoneinfo.ZoneInfo(zone_name), np.random.default_rng(seed)
    days: list[packing.Day] = []
    values: list[int] = []
    for place, seconds in enumerate(lengths):
        date = changing_days(zone)[0] + datetime.timedelta(days=place)
        first = packing.midnight(day=date, zone=zone)
        count = (packing.midnight(day=date + datetime.timedelta(days=1), zone=zone) - first) // seconds
        kept = np.flatnonzero(numbers.random(count) < numbers.choice([0.5, 1.0]))
        kept = kept if len(kept) else np.array([0])
        chosen = numbers.integers(-most, most, len(kept))
        codes = numbers.choice([units.Quality.RAW, units.Quality.VALID], len(kept)).astype(np.uint8)
        series = packing.Series(seconds, first + seconds * kept, chosen, codes)
        days += packing.pack(series=series, zone=zone)
        values += chosen.tolist()

    unpacked = joined(days, zone)

    assert unpacked.intervals.milli_units.tolist() == values
    starts = [start for day in days for start in day.starts(zone)[day.quality_codes() != units.Quality.MISSING]]
    assert unpacked.intervals.starts.tolist() == starts
    assert int(unpacked.places[-1]) == len(values)
    assert [unpacked.date(place) for place in range(len(days))] == [day.local_date for day in days]


def test_what_is_set_aside_comes_back() -> None:
    series = packing.Series(
        900, 900 * np.arange(5, dtype=np.int64), np.arange(5, dtype=np.int64) - 2, np.arange(1, 6, dtype=np.uint8)
    )
    channel = deliveries.ChannelReadings(
        "p", "E1", units.Flow.NET, units.Unit.WATT_HOUR, (series, series),
        periods=(deliveries.PeriodValue(0, 90_000, 5, units.Quality.VALID),), is_counted=False, conflicts=((0, 900),),
    )  # fmt: skip
    delivered = deliveries.Delivery((channel,), warnings=("odd",), standard_offset_seconds=-18_000)

    back = staging.decode(content=staging.encode(delivered=delivered))

    (found,) = back.channels
    assert (back.warnings, back.standard_offset_seconds, back.intervals) == (("odd",), -18_000, 11)
    assert (found.usage_point, found.key, found.flow, found.unit) == ("p", "E1", units.Flow.NET, units.Unit.WATT_HOUR)
    assert (found.periods, found.is_counted, found.conflicts) == (channel.periods, False, ((0, 900),))
    for one in found.series:
        assert one.starts.tolist() == series.starts.tolist()
        assert one.milli_units.tolist() == series.milli_units.tolist()
        assert one.qualities.tolist() == series.qualities.tolist()
