"""Whole days of many meters in one write, and many meters in one read."""

import datetime
import zoneinfo

import numpy as np
import pytest

from meters import models, operations, queries
from meters.domain import packing, units
from openvpp.core import db as transactions
from tests.factories import customers

NOW = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)
ZONE = zoneinfo.ZoneInfo("America/New_York")
DAYS = np.array(["2026-06-01", "2026-06-02"], dtype="datetime64[D]")


@pytest.fixture
def channels(db: None) -> list[models.Channel]:
    utility = customers.Utility.create()
    return [
        models.Channel.objects.create(
            utility=utility,
            service_point=customers.ServicePoint.create(premise__utility=utility),
            source="meter",
            flow="delivered",
            unit="Wh",
            time_zone=ZONE.key,
        )
        for _ in range(3)
    ]


def point_of(channel: models.Channel) -> int:
    assert channel.service_point_id is not None
    return channel.service_point_id


def store(channels: list[models.Channel], values: np.ndarray) -> None:
    ids = np.repeat([channel.pk for channel in channels], 2)
    batch, _ = models.ImportBatch.objects.get_or_create(
        utility=channels[0].utility,
        sha256=bytes(32),
        target="head-end",
        defaults={
            "format": "push",
            "imported_at": NOW,
            "intervals": values.size,
            "days_added": 0,
            "days_changed": 0,
            "days_unchanged": 0,
        },
    )
    with transactions.transaction_if_not_already():
        operations.store_whole_days(
            batch=batch,
            channel_ids=ids,
            account_ids=ids + 100,
            dates=np.tile(DAYS, len(channels)),
            interval_seconds=900,
            milli_units=values,
            quality=units.Quality.VALID,
        )


@pytest.mark.parametrize("most", [30_000_000, 40_000_000_000])
def test_what_is_stored_in_bulk_comes_back_exactly(channels: list[models.Channel], most: int) -> None:
    values = np.random.default_rng(5).integers(-most // 1000, most // 1000, (6, 96)) * 1000

    store(channels, values)

    read = queries.get_intervals_of_many(
        service_point_ids=[point_of(channel) for channel in channels],
        starts_at=datetime.datetime(2026, 6, 1, tzinfo=ZONE),
        ends_at=datetime.datetime(2026, 6, 3, tzinfo=ZONE),
    )
    for place, channel in enumerate(channels):
        ((flow, intervals),) = read[point_of(channel)]
        assert flow is units.Flow.DELIVERED
        assert intervals.milli_units.tolist() == values[2 * place : 2 * place + 2].ravel().tolist()
        assert int(intervals.starts[0]) == packing.midnight(day=datetime.date(2026, 6, 1), zone=ZONE)
    assert set(models.MeterDay.objects.values_list("account_id", flat=True)) == {c.pk + 100 for c in channels}


def test_day_that_is_there_is_refused_with_nothing_changed(channels: list[models.Channel]) -> None:
    store(channels, np.full((6, 96), 1000))

    with pytest.raises(operations.UnableToStoreReadings) as caught:
        store(channels, np.full((6, 96), 2000))

    assert caught.value.code == "days_stored_already"
    assert {row.to_day().milli_units()[0] for row in models.MeterDay.objects.all()} == {1000}


def test_value_too_large_for_a_bulk_row_is_refused(channels: list[models.Channel]) -> None:
    with pytest.raises(operations.UnableToStoreReadings, match="too large"):
        store(channels, np.full((6, 96), 2**40 + 1))

    assert not models.MeterDay.objects.exists()


def test_days_that_differ_in_kind_are_read_like_those_that_do_not(channels: list[models.Channel]) -> None:
    store(channels, np.full((6, 96), 7000))
    row = models.MeterDay.objects.get(channel_id=channels[1].pk, local_date=datetime.date(2026, 6, 2))
    models.MeterDay.objects.filter(pk=row.pk).update(
        qualities=bytes([units.Quality.MISSING] + [units.Quality.VALID] * 95)
    )

    coverage = queries.get_coverage(
        service_point_id=point_of(channels[1]),
        starts_at=datetime.datetime(2026, 6, 1, tzinfo=ZONE),
        ends_at=datetime.datetime(2026, 6, 3, tzinfo=ZONE),
    )

    assert coverage.present_seconds == coverage.wanted_seconds - 900
    assert [gap.starts_at for gap in coverage.gaps] == [datetime.datetime(2026, 6, 2, 4, tzinfo=datetime.UTC)]
