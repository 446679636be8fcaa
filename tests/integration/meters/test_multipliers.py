"""Every read of a meter behind transformers is energy; what is stored stays what it read."""

import datetime
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytest_django

from customers import models as customers_models
from meters import models, queries
from meters.domain import packing
from meters.templatetags import usage_plot
from tests.factories import customers

NOW = datetime.datetime(2026, 4, 1, 12, tzinfo=datetime.UTC)
ZONE = zoneinfo.ZoneInfo("America/New_York")
FIRST, SHORT, LAST = (datetime.date(2026, 3, day) for day in (7, 8, 9))  # the clocks go forward on the eighth
HOURS = [24, 23, 24]
READ = 7_001


@pytest.fixture
def point(db: None) -> customers_models.ServicePoint:
    """Three days on which every hour reads 7.001 Wh."""
    made: customers_models.ServicePoint = customers.ServicePoint.create()
    store(made)
    return made


def store(point: customers_models.ServicePoint, *, source: str = "meter", key: str = "") -> models.Channel:
    channel = models.Channel.objects.create(
        utility=point.premise.utility,
        service_point=point,
        source=source,
        key=key,
        flow="net",
        unit="Wh",
        time_zone=ZONE.key,
    )
    batch, _ = models.ImportBatch.objects.get_or_create(
        utility=point.premise.utility,
        sha256=bytes(32),
        target="head-end",
        defaults={
            "format": "push",
            "imported_at": NOW,
            "intervals": 71,
            "days_added": 3,
            "days_changed": 0,
            "days_unchanged": 0,
        },
    )
    starts = packing.midnight(day=FIRST, zone=ZONE) + 3600 * np.arange(sum(HOURS), dtype=np.int64)
    series = packing.Series(3600, starts, np.full(sum(HOURS), READ), np.ones(sum(HOURS), dtype=np.uint8))
    models.MeterDay.copy_in(
        rows=[
            models.MeterDay.of(day=day, channel=channel, account_id=0, batch=batch)
            for day in packing.pack(series=series, zone=ZONE)
        ]
    )
    return channel


def install(
    point: customers_models.ServicePoint,
    serial: str,
    multiplier: str,
    starts_on: datetime.date = FIRST,
    ends_on: datetime.date | None = None,
) -> None:
    customers.MeterInstallation.create(
        service_point=point, serial=serial, multiplier=multiplier, starts_on=starts_on, ends_on=ends_on
    )


def span(first: datetime.date = FIRST, last: datetime.date = LAST) -> dict[str, Any]:
    return {
        "starts_at": datetime.datetime.combine(first, datetime.time(), tzinfo=ZONE),
        "ends_at": datetime.datetime.combine(last + datetime.timedelta(days=1), datetime.time(), tzinfo=ZONE),
    }


@pytest.mark.parametrize(
    ("change", "by_day"),
    [
        (SHORT, [24 * 40 * READ, 23 * 10_501, 24 * 10_501]),
        (LAST, [24 * 40 * READ, 23 * 40 * READ, 24 * 10_501]),
    ],
)
def test_every_read_gives_the_same_energy(
    point: customers_models.ServicePoint, change: datetime.date, by_day: list[int]
) -> None:
    install(point, "OLD", "40", ends_on=change)
    install(point, "NEW", "1.5", starts_on=change)

    consumption = queries.get_consumption(service_point_id=point.pk, **span())
    ((_, intervals),) = queries.get_intervals_of_many(service_point_ids=[point.pk], **span())[point.pk]
    channel = queries.get_channel_intervals(channel_id=models.Channel.objects.get().pk, **span())
    daily = queries.get_daily(service_point_id=point.pk, first=FIRST, last=LAST)
    (month,) = queries.get_monthly(service_point_id=point.pk, first=FIRST, last=LAST)
    plot = queries.get_usage_plot(service_point_id=point.pk)

    expected = np.repeat([energy // hours for energy, hours in zip(by_day, HOURS, strict=True)], HOURS).tolist()
    assert consumption.delivered_milli_wh.tolist() == expected
    assert intervals.milli_units.tolist() == channel.milli_units.tolist() == expected
    assert [day.delivered_milli_wh for day in daily] == by_day
    assert month.delivered_milli_wh == sum(by_day)
    assert plot is not None
    assert list(plot.totals) == daily
    assert queries.get_coverage(service_point_id=point.pk, **span()).present_seconds == 71 * 3600
    assert {int(day.to_day().milli_units().sum()) for day in models.MeterDay.objects.all()} == {24 * READ, 23 * READ}


def test_points_read_together_keep_their_own_multipliers(point: customers_models.ServicePoint) -> None:
    plain = customers.ServicePoint.create(premise=point.premise)
    store(plain)
    install(point, "CT", "40")
    install(plain, "PLAIN", "1")

    read = queries.get_intervals_of_many(service_point_ids=[plain.pk, point.pk], **span())

    assert {pk: int(found[0][1].milli_units.sum()) for pk, found in read.items()} == {
        plain.pk: 71 * READ,
        point.pk: 71 * 40 * READ,
    }


def test_two_meters_of_one_multiplier_are_multiplied_once(point: customers_models.ServicePoint) -> None:
    install(point, "A", "40")
    install(point, "B", "40")

    consumption = queries.get_consumption(service_point_id=point.pk, **span())

    assert int(consumption.delivered_milli_wh.sum()) == 71 * 40 * READ


@pytest.mark.parametrize(
    "read",
    [
        lambda pk: queries.get_consumption(service_point_id=pk, **span()),
        lambda pk: queries.get_intervals_of_many(service_point_ids=[pk], **span()),
        lambda pk: queries.get_coverage(service_point_id=pk, **span()),
        lambda pk: queries.get_daily(service_point_id=pk, first=FIRST, last=LAST),
        lambda pk: queries.get_monthly(service_point_id=pk, first=FIRST, last=LAST),
        lambda pk: queries.get_usage_plot(service_point_id=pk),
    ],
)
def test_two_meters_of_different_multipliers_on_one_day_are_refused(
    point: customers_models.ServicePoint, read: Callable[[int], object]
) -> None:
    install(point, "A", "1")
    install(point, "B", "40", starts_on=LAST)

    with pytest.raises(queries.UnableToReadUsage, match=r"On 2026-03-09 .*\(A, B\)") as refusal:
        read(point.pk)

    assert refusal.value.code == "unmultipliable"
    assert "On 2026-03-09 meters of different multipliers" in usage_plot.usage_plot(point.pk)


def test_days_before_and_after_two_meters_are_read(point: customers_models.ServicePoint) -> None:
    install(point, "A", "40")
    install(point, "B", "1", starts_on=LAST)

    before = queries.get_consumption(service_point_id=point.pk, **span(last=SHORT))
    customers_models.MeterInstallation.objects.filter(serial="B").update(starts_on=FIRST, ends_on=SHORT)
    after = queries.get_consumption(service_point_id=point.pk, **span(first=SHORT))

    assert int(before.delivered_milli_wh.sum()) == int(after.delivered_milli_wh.sum()) == 47 * 40 * READ


def test_what_a_device_measures_is_energy_already(point: customers_models.ServicePoint) -> None:
    channel = store(point, source="device", key="battery")
    install(point, "CT", "40")

    device = queries.get_device_intervals(device_key="battery", **span())
    same = queries.get_channel_intervals(channel_id=channel.pk, **span())

    assert int(device.milli_units.sum()) == int(same.milli_units.sum()) == 71 * READ


def test_meters_of_whole_reads_cost_no_query_more(
    point: customers_models.ServicePoint, django_assert_num_queries: pytest_django.DjangoAssertNumQueries
) -> None:
    install(point, "PLAIN", "1")

    with django_assert_num_queries(0):  # the read of the days has a cursor of its own, which is not counted
        consumption = queries.get_consumption(service_point_id=point.pk, **span())
    with django_assert_num_queries(3):  # days, multipliers, and whether meters stand behind
        queries.get_daily(service_point_id=point.pk, first=FIRST, last=LAST)

    assert int(consumption.delivered_milli_wh.sum()) == 71 * READ
