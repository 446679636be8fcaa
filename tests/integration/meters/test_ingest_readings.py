"""Readings come in once, whole or not at all, and what they replace is kept."""

import concurrent.futures
import datetime
import io
import pathlib
import zoneinfo
from typing import Any

import numpy as np
import pytest
from django import db as django_db
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import django as hypothesis_django

from customers import models as customers_models
from meters import models, operations, queries
from meters.adapters import espi
from meters.domain import delivery, packing, units
from meters.usecases import ingest_readings
from openvpp.core import db
from tests.factories import customers

SAMPLES = pathlib.Path(__file__).parents[2] / "data" / "meter" / "green_button"
QUARTER_HOURS = SAMPLES / "gb_openespi_15minLP_15Days.xml"
HOURS = SAMPLES / "gb_openespi_1hrLP_32Days.xml"
MONTHS = SAMPLES / "gb_openespi_MonthlyOnlyElectricData.xml"
SCE = SAMPLES / "gb_verdigris_BulkSCEUsageSummaryAndIntervalBlock.xml"
NOW = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)
ZONE = zoneinfo.ZoneInfo("America/New_York")


def local(year: int, month: int, day: int) -> datetime.datetime:
    return datetime.datetime(year, month, day, tzinfo=ZONE)


def ingest(
    path: pathlib.Path, point: customers_models.ServicePoint, *, content: bytes | None = None
) -> models.ImportBatch:
    return ingest_readings.ingest_green_button(
        stream=io.BytesIO(path.read_bytes() if content is None else content),
        utility_id=point.premise.utility_id,
        service_point_id=point.pk,
        file_name=path.name,
        now=NOW,
    )


def nothing_is_stored() -> bool:
    tables = (models.Channel, models.ImportBatch, models.MeterDay, models.MeterDayVersion, models.PeriodReading)
    return not any(table.objects.exists() for table in tables)


@pytest.fixture
def point(transactional_db: None) -> customers_models.ServicePoint:
    return customers.ServicePoint.create()


def test_quarter_hours_become_one_row_a_day(point: customers_models.ServicePoint) -> None:
    batch = ingest(QUARTER_HOURS, point)

    assert (batch.intervals, batch.days_added, batch.days_changed, batch.days_unchanged) == (1340, 14, 0, 0)
    assert batch.warnings == []
    days = list(models.MeterDay.objects.order_by("local_date"))
    assert [day.local_date.day for day in days] == list(range(1, 15))
    assert [len(day.to_day()) for day in days] == [96] * 10 + [92] + [96] * 3
    consumption = queries.get_consumption(
        service_point_id=point.pk, starts_at=local(2012, 3, 1), ends_at=local(2012, 3, 15)
    )
    assert int(consumption.delivered_wh.sum()) == 1_397_734
    assert not consumption.has_received
    assert len(consumption) == 1340
    assert queries.get_coverage(
        service_point_id=point.pk, starts_at=local(2012, 3, 1), ends_at=local(2012, 3, 15)
    ).is_complete


def test_days_and_months_are_the_utilitys(point: customers_models.ServicePoint) -> None:
    ingest(HOURS, point)

    days = queries.get_daily(
        service_point_id=point.pk, first=datetime.date(2012, 4, 1), last=datetime.date(2012, 5, 31)
    )
    months = queries.get_monthly(
        service_point_id=point.pk, first=datetime.date(2012, 4, 1), last=datetime.date(2012, 5, 31)
    )

    assert len(days) == 32
    assert [(month.starts_on.month, month.delivered_milli_wh, month.missing) for month in months] == [
        (4, 2_215_348_000, 0),
        (5, 139_495_000, 0),
    ]
    assert sum(day.delivered_milli_wh for day in days) == 2_354_843_000


def test_gap_is_named_and_absent(point: customers_models.ServicePoint) -> None:
    ingest(SCE, point)
    starts_at = datetime.datetime(2015, 6, 7, 7, tzinfo=datetime.UTC)

    coverage = queries.get_coverage(
        service_point_id=point.pk, starts_at=starts_at, ends_at=starts_at + datetime.timedelta(hours=1)
    )

    assert (coverage.wanted_seconds, coverage.present_seconds) == (3600, 2700)
    assert [(gap.starts_at.minute, gap.ends_at.minute) for gap in coverage.gaps] == [(45, 0)]


def test_spans_longer_than_a_day_are_kept_as_they_came(point: customers_models.ServicePoint) -> None:
    batch = ingest(MONTHS, point)

    rows = queries.get_period_readings(service_point_id=point.pk)
    assert (batch.days_added, len(rows)) == (14, 14)
    assert rows[0].milli_units == 778_000_000
    assert not models.MeterDay.objects.exists()


def test_zone_of_the_file_that_is_not_the_utilitys_is_told(point: customers_models.ServicePoint) -> None:
    batch = ingest(SCE, point)

    assert batch.warnings[-1] == (
        "The file's local time is -8 h from UTC, the utility's (America/New_York) -5 h; days are the utility's."
    )


def test_same_file_twice_changes_nothing(point: customers_models.ServicePoint) -> None:
    first = ingest(QUARTER_HOURS, point)

    again = ingest(QUARTER_HOURS, point)

    assert again.pk == first.pk
    assert models.ImportBatch.objects.count() == 1
    assert models.MeterDay.objects.count() == 14
    assert not models.MeterDayVersion.objects.exists()


def test_same_readings_in_another_file_change_nothing(point: customers_models.ServicePoint) -> None:
    ingest(QUARTER_HOURS, point)

    batch = ingest(QUARTER_HOURS, point, content=QUARTER_HOURS.read_bytes() + b"\n")

    assert (batch.days_added, batch.days_changed, batch.days_unchanged) == (0, 0, 14)
    assert not models.MeterDayVersion.objects.exists()


def test_changed_value_makes_a_new_version_and_keeps_the_old_one(point: customers_models.ServicePoint) -> None:
    first = ingest(QUARTER_HOURS, point)
    corrected = QUARTER_HOURS.read_bytes().replace(b"<value>324</value>", b"<value>424</value>", 1)

    batch = ingest(QUARTER_HOURS, point, content=corrected)

    assert (batch.days_added, batch.days_changed, batch.days_unchanged) == (0, 1, 13)
    (old,) = models.MeterDayVersion.objects.all()
    new = models.MeterDay.objects.get(local_date=datetime.date(2012, 3, 1))
    assert (old.version, old.batch_id, old.to_day().milli_units()[0]) == (1, first.pk, 324_000)
    assert (new.batch_id, new.to_day().milli_units()[0]) == (batch.pk, 424_000)
    assert new.to_day().milli_units()[1:].tolist() == old.to_day().milli_units()[1:].tolist()


def test_days_carry_the_account_that_took_service(transactional_db: None) -> None:
    agreement = customers.ServiceAgreement.create(
        starts_on=datetime.date(2012, 3, 5), ends_on=datetime.date(2012, 3, 8)
    )
    next_one = customers.ServiceAgreement.create(
        account=customers.CustomerAccount.create(utility=agreement.account.utility),
        service_point=agreement.service_point,
        starts_on=datetime.date(2012, 3, 8),
    )

    ingest(QUARTER_HOURS, agreement.service_point)

    carried = dict(models.MeterDay.objects.values_list("local_date__day", "account_id"))
    assert [carried[day] for day in (4, 5, 7, 8, 14)] == [
        queries.NO_ACCOUNT,
        agreement.account_id,
        agreement.account_id,
        next_one.account_id,
        next_one.account_id,
    ]


@pytest.mark.parametrize("cut", [10, 5_000, 150_000, 300_000])
def test_truncated_file_stores_nothing(point: customers_models.ServicePoint, cut: int) -> None:
    with pytest.raises(espi.UnableToReadGreenButton):
        ingest(QUARTER_HOURS, point, content=QUARTER_HOURS.read_bytes()[:cut])

    assert nothing_is_stored()


def test_contradiction_late_in_the_file_stores_nothing(point: customers_models.ServicePoint) -> None:
    shifted = packing.Series(
        interval_seconds=900,
        starts=np.array([1_330_578_000, 1_330_664_400 + 60, 1_330_664_400 + 1000]),
        milli_units=np.array([1, 2, 3]),
        qualities=np.full(3, units.Quality.VALID, dtype=np.uint8),
    )
    delivered = delivery.Delivery(
        channels=(delivery.ChannelReadings("A", "", units.Flow.DELIVERED, units.Unit.WATT_HOUR, (shifted,)),)
    )

    with pytest.raises(operations.UnableToStoreReadings, match="off the 900-second grid"):
        ingest_readings.ingest(
            delivered=delivered,
            sha256=b"x" * 32,
            source=models.ImportBatch.Format.PUSH,
            utility_id=point.premise.utility_id,
            points={"A": point.pk},
            now=NOW,
        )

    assert nothing_is_stored()


def test_file_without_readings_is_refused(point: customers_models.ServicePoint) -> None:
    with pytest.raises(ingest_readings.UnableToIngestReadings, match="holds no electricity readings"):
        ingest(SAMPLES / "gb_verdigris_PGEUsagePoint.xml", point)

    assert nothing_is_stored()


def test_service_point_of_another_utility_is_refused(point: customers_models.ServicePoint) -> None:
    other = customers.Utility.create()

    with pytest.raises(ingest_readings.UnableToIngestReadings, match="is not this utility's"):
        ingest_readings.ingest_green_button(
            stream=io.BytesIO(HOURS.read_bytes()), utility_id=other.pk, service_point_id=point.pk, now=NOW
        )

    assert nothing_is_stored()


def test_usage_point_is_found_by_its_number(transactional_db: None) -> None:
    point = customers.ServicePoint.create(number="01")

    batch = ingest_readings.ingest_green_button(
        stream=io.BytesIO(HOURS.read_bytes()), utility_id=point.premise.utility_id, now=NOW
    )

    assert batch.target == str(point.pk)


def test_usage_point_without_a_service_point_is_refused(point: customers_models.ServicePoint) -> None:
    with pytest.raises(ingest_readings.UnableToIngestReadings, match="RetailCustomer/9b6c7063/UsagePoint/01"):
        ingest_readings.ingest_green_button(
            stream=io.BytesIO(HOURS.read_bytes()), utility_id=point.premise.utility_id, now=NOW
        )

    assert nothing_is_stored()


def test_ten_deliveries_of_one_file_at_once_are_one(point: customers_models.ServicePoint) -> None:
    def deliver(_: int) -> int:
        try:
            return ingest(QUARTER_HOURS, point).pk
        finally:
            django_db.connection.close()

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        batches = set(pool.map(deliver, range(10)))

    assert len(batches) == 1
    assert models.MeterDay.objects.count() == 14
    assert not models.MeterDayVersion.objects.exists()


def test_telemetry_is_kept_by_device_and_adds_up(point: customers_models.ServicePoint) -> None:
    starts = [int(local(2026, 1, 1).timestamp()) + 300 * i for i in range(6)]
    sent: dict[str, Any] = {
        "utility_id": point.premise.utility_id,
        "device_key": "0b6f0f7e-6f54-4c0c-9d43-2b8f4d6a9d11",
        "interval_seconds": 300,
        "now": NOW,
    }

    with db.transaction():
        first = operations.record_intervals(starts=starts[:4], energy_wh=[10, -20, 30, 40], **sent)
    with db.transaction():
        second = operations.record_intervals(starts=starts[2:], energy_wh=[30, 40, 50, 60], **sent)
    with db.transaction():
        again = operations.record_intervals(starts=starts[2:], energy_wh=[30, 40, 50, 60], **sent)

    assert (first.added, second.changed, again.unchanged) == (1, 1, 1)
    intervals = queries.get_device_intervals(
        device_key="0b6f0f7e-6f54-4c0c-9d43-2b8f4d6a9d11", starts_at=local(2026, 1, 1), ends_at=local(2026, 1, 2)
    )
    assert intervals.whole_units.tolist() == [10, -20, 30, 40, 50, 60]
    assert intervals.starts.tolist() == starts


class AnyOrderOfDeliveries(hypothesis_django.TransactionTestCase):
    @given(order=st.permutations(range(4)), repeats=st.lists(st.integers(0, 3), max_size=3))
    @settings(max_examples=20, deadline=None)
    def test_parts_of_a_day_in_any_order_and_again_make_the_same_day(
        self, order: list[int], repeats: list[int]
    ) -> None:
        point = customers.ServicePoint.create()
        first = int(local(2026, 11, 1).timestamp())  # 25 hours
        for part in [*order, *repeats]:
            places = np.arange(25 * part, 25 * (part + 1))
            series = packing.Series(900, first + 900 * places, 1000 * places, np.full(25, 2, dtype=np.uint8))
            ingest_readings.ingest(
                delivered=delivery.Delivery(
                    channels=(delivery.ChannelReadings("A", "", units.Flow.DELIVERED, units.Unit.WATT_HOUR, (series,)),)
                ),
                sha256=bytes([part]) * 32,
                source=models.ImportBatch.Format.PUSH,
                utility_id=point.premise.utility_id,
                points={"A": point.pk},
                now=NOW,
            )

        (day,) = models.MeterDay.objects.filter(channel__service_point=point)
        assert day.to_day().milli_units().tolist() == [1000 * place for place in range(100)]
        assert list(models.MeterDayVersion.objects.order_by("version").values_list("version", flat=True)) == [1, 2, 3]
