"""Packed days: exact in, exact out, on every kind of day."""

import datetime
import zoneinfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meters.domain import packing, units, usage

ZONES = [
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "Europe/Berlin",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Sydney",
    "Australia/Lord_Howe",
]


def series(*, starts_at: datetime.datetime, seconds: int, values: list[int]) -> packing.Series:
    first = int(starts_at.timestamp())
    return packing.Series(
        interval_seconds=seconds,
        starts=first + seconds * np.arange(len(values), dtype=np.int64),
        milli_units=np.array(values, dtype=np.int64),
        qualities=np.full(len(values), units.Quality.VALID, dtype=np.uint8),
    )


@pytest.mark.parametrize(
    ("day", "intervals"),
    [(datetime.date(2026, 3, 8), 92), (datetime.date(2026, 6, 1), 96), (datetime.date(2026, 11, 1), 100)],
)
def test_day_has_the_intervals_of_its_hours(day: datetime.date, intervals: int) -> None:
    zone = zoneinfo.ZoneInfo("America/New_York")
    starts_at = datetime.datetime.combine(day, datetime.time(), tzinfo=zone)

    (packed,) = packing.pack(series=series(starts_at=starts_at, seconds=900, values=[1000] * intervals), zone=zone)

    assert len(packed) == intervals
    assert packed.scale == 1000
    assert packed.width == 2
    assert packed.qualities == bytes([units.Quality.VALID])
    assert int(packed.milli_units().sum()) == intervals * 1000


def test_one_reading_makes_a_day_with_the_rest_missing() -> None:
    zone = zoneinfo.ZoneInfo("America/New_York")
    starts_at = datetime.datetime(2026, 6, 1, 14, 30, tzinfo=zone)

    (packed,) = packing.pack(series=series(starts_at=starts_at, seconds=900, values=[777]), zone=zone)

    assert packed.quality_codes().tolist() == [0] * 58 + [units.Quality.VALID] + [0] * 37
    assert packed.milli_units()[58] == 777
    assert usage.unpack(day=packed, zone=zone).starts.tolist() == [int(starts_at.timestamp())]


@pytest.mark.parametrize(
    ("values", "width", "scale"),
    [
        ([32_767, 1], 2, 1),
        ([32_768, 1], 4, 1),
        ([-32_768, 1], 2, 1),
        ([2**31, 1], 8, 1),
        ([64_000, 32_000], 2, 32_000),
        ([10**9, 2 * 10**9], 4, 10_000),
        ([65_536, 0], 4, 1),
    ],
)
def test_width_and_scale_are_the_smallest_that_hold_the_values(values: list[int], width: int, scale: int) -> None:
    zone = zoneinfo.ZoneInfo("UTC")
    starts_at = datetime.datetime(2026, 6, 1, tzinfo=zone)

    (packed,) = packing.pack(series=series(starts_at=starts_at, seconds=3600, values=values), zone=zone)

    assert (packed.width, packed.scale) == (width, scale)
    assert packed.milli_units()[:2].tolist() == values


def test_off_grid_and_overlapping_intervals_are_refused() -> None:
    zone = zoneinfo.ZoneInfo("UTC")
    first = int(datetime.datetime(2026, 6, 1, tzinfo=zone).timestamp())
    codes = np.full(2, units.Quality.VALID, dtype=np.uint8)

    with pytest.raises(packing.Unpackable, match="2026-06-01T00:07:00Z overlaps"):
        packing.Series(900, np.array([first, first + 420]), np.array([1, 2]), codes)
    shifted = packing.Series(900, np.array([first, first + 1000]), np.array([1, 2]), codes)
    with pytest.raises(packing.Unpackable, match="2026-06-01T00:16:40Z is off the 900-second grid"):
        packing.pack(series=shifted, zone=zone)


@given(
    zone_name=st.sampled_from(ZONES),
    first=st.dates(datetime.date(2023, 1, 1), datetime.date(2026, 12, 1)),
    seconds=st.sampled_from([60, 300, 900, 1800, 3600]),
    hours=st.integers(1, 24 * 5),
    data=st.data(),
)
@example("Australia/Lord_Howe", datetime.date(2026, 4, 4), 3600, 72, None)
@settings(max_examples=200, deadline=None)
def test_what_is_packed_comes_back_in_every_zone(
    zone_name: str, first: datetime.date, seconds: int, hours: int, data: st.DataObject | None
) -> None:
    zone = zoneinfo.ZoneInfo(zone_name)
    count = hours * 3600 // seconds
    seed = data.draw(st.integers(0, 2**32 - 1)) if data else 0
    values = np.random.default_rng(seed).integers(-(2**20), 2**20, count)
    starts_at = datetime.datetime.combine(first, datetime.time(), tzinfo=zone)
    given_series = series(starts_at=starts_at, seconds=seconds, values=[int(value) for value in values])

    days = packing.pack(series=given_series, zone=zone)
    back = usage.join([usage.unpack(day=day, zone=zone) for day in days])

    assert back.starts.tolist() == given_series.starts.tolist()
    assert back.milli_units.tolist() == values.tolist()
    assert [day.local_date for day in days] == sorted({day.local_date for day in days})
    for day in days:
        length = packing.midnight(day=day.local_date + datetime.timedelta(days=1), zone=zone) - packing.midnight(
            day=day.local_date, zone=zone
        )
        assert len(day) == -((day.offset_seconds - length) // seconds)


def test_overlay_takes_what_is_new_and_leaves_what_is_not() -> None:
    zone = zoneinfo.ZoneInfo("UTC")
    starts_at = datetime.datetime(2026, 6, 1, tzinfo=zone)
    (old,) = packing.pack(series=series(starts_at=starts_at, seconds=3600, values=list(range(24))), zone=zone)
    (same,) = packing.pack(series=series(starts_at=starts_at, seconds=3600, values=[0, 1, 2]), zone=zone)
    (other,) = packing.pack(series=series(starts_at=starts_at, seconds=3600, values=[0, 9]), zone=zone)

    assert packing.overlay(old=old, new=same) is None
    laid = packing.overlay(old=old, new=other)
    assert laid is not None
    assert laid.milli_units().tolist() == [0, 9, *range(2, 24)]


def test_overlay_refuses_part_of_a_day_in_other_intervals() -> None:
    zone = zoneinfo.ZoneInfo("UTC")
    starts_at = datetime.datetime(2026, 6, 1, tzinfo=zone)
    (old,) = packing.pack(series=series(starts_at=starts_at, seconds=3600, values=[5] * 24), zone=zone)
    (part,) = packing.pack(series=series(starts_at=starts_at, seconds=900, values=[5]), zone=zone)
    (whole,) = packing.pack(series=series(starts_at=starts_at, seconds=900, values=[5] * 96), zone=zone)

    with pytest.raises(packing.Unpackable, match="2026-06-01 is kept in intervals of 3600 seconds"):
        packing.overlay(old=old, new=part)
    assert packing.overlay(old=old, new=whole) is whole


def test_what_a_day_cannot_hold_is_refused() -> None:
    zone = zoneinfo.ZoneInfo("UTC")
    noon = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)

    for value in (packing.MOST_MILLI_UNITS, -packing.MOST_MILLI_UNITS):
        (day,) = packing.pack(series=series(starts_at=noon, seconds=900, values=[value]), zone=zone)
        assert int(day.milli_units().sum()) == value
        with pytest.raises(packing.OutOfRange, match="more than a meter counts"):
            series(starts_at=noon, seconds=900, values=[value + (1 if value > 0 else -1)])
    with pytest.raises(packing.OutOfRange, match="more than a meter counts"):
        series(starts_at=noon, seconds=900, values=[-(2**63)])
    for year in (1969, 2089):
        with pytest.raises(packing.OutOfRange, match="1970 to 2088"):
            series(starts_at=noon.replace(year=year), seconds=900, values=[1])


def test_days_of_seconds_would_not_be_read_again_and_are_refused() -> None:
    zone = zoneinfo.ZoneInfo("UTC")
    noon = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)

    packing.pack(series=series(starts_at=noon, seconds=3, values=[1]), zone=zone)
    for seconds, value in ((2, 1), (3, 2**31 + 1), (10, 2**31 + 1)):
        with pytest.raises(packing.OutOfRange, match="too short"):
            packing.pack(series=series(starts_at=noon, seconds=seconds, values=[value, 1]), zone=zone)


def test_only_what_was_decided_is_kept_from_a_value_that_was_there_before() -> None:
    def day(values: list[int], codes: list[units.Quality]) -> packing.Day:
        made = packing.Series(
            10_800,
            10_800 * np.arange(2, dtype=np.int64),
            np.array(values, dtype=np.int64),
            np.array(codes, dtype=np.uint8),
        )
        return packing.pack(series=made, zone=zoneinfo.ZoneInfo("UTC"))[0]

    raw, edited = units.Quality.RAW, units.Quality.EDITED
    first = day([900, 500], [raw, raw])
    old = day([10, 700], [edited, raw])

    again = packing.overlay(old=old, new=first, earlier=[first])

    assert again is not None
    assert again.milli_units().tolist()[:2] == [10, 500]
    assert again.quality_codes().tolist()[:2] == [edited, raw]
    assert packing.overlay(old=again, new=first, earlier=[first, old]) is None
