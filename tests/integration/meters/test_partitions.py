"""Meter days lie in partitions of a month, made ahead; what is old goes by whole months."""

import datetime

import pytest
from django.core import management
from django.db import connection

from meters import models, queries
from meters.domain import units
from meters.models import partitions
from meters.usecases import keep_meter_data
from tests.factories import customers
from tests.integration.meters.test_disasters import deliver, true_values

NOW = datetime.datetime(2026, 6, 20, 12, tzinfo=datetime.UTC)
APRIL, MAY, JUNE = (datetime.date(2026, month, 1) for month in (4, 5, 6))


@pytest.fixture(autouse=True)
def _no_partitions(transactional_db: None) -> object:
    yield
    for month in partitions.months():
        partitions.drop(month=month)


def tables() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM meters_meterday GROUP BY 1")
        return dict(cursor.fetchall())


def test_days_move_into_a_partition_that_is_made_for_them() -> None:
    point = customers.ServicePoint.create()
    truth = true_values(45)
    deliver(point, truth)
    assert tables() == {"meters_meterday_default": 45}

    assert keep_meter_data.make_partitions(first=APRIL, last=MAY) == [APRIL, MAY]

    assert tables() == {"meters_meterday_2026_04": 30, "meters_meterday_2026_05": 15}
    assert keep_meter_data.make_partitions(first=APRIL, last=JUNE) == [JUNE]
    start = datetime.datetime(2026, 4, 1, 4, tzinfo=datetime.UTC)
    read = queries.get_consumption(
        service_point_id=point.pk, starts_at=start, ends_at=start + datetime.timedelta(days=45)
    )
    assert read.delivered_milli_wh.tolist() == truth.tolist()
    assert set(read.qualities) == {units.Quality.RAW}
    deliver(point, truth + 1000)
    assert tables() == {"meters_meterday_2026_04": 30, "meters_meterday_2026_05": 15}
    assert models.MeterDayVersion.objects.count() == 45


def test_months_ahead_are_made_once() -> None:
    made = keep_meter_data.make_ahead(now=NOW)

    assert (len(made), made[0], made[-1]) == (16, APRIL, datetime.date(2027, 7, 1))
    assert keep_meter_data.make_ahead(now=NOW) == []
    assert partitions.months() == made


def test_old_months_go_and_a_dry_run_only_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    point = customers.ServicePoint.create()
    truth = true_values(45)
    deliver(point, truth)
    deliver(point, truth + 1000)
    keep_meter_data.make_partitions(first=APRIL, last=APRIL)
    later = datetime.datetime(2028, 1, 1, tzinfo=datetime.UTC)
    before = datetime.date(2026, 5, 6)

    would = keep_meter_data.prune(before=before, is_dry_run=True, now=later)

    assert (would.months, would.days, would.versions) == ((APRIL,), 35, 35)
    assert models.MeterDay.objects.count() == 45
    with pytest.raises(keep_meter_data.UnableToPrune):
        keep_meter_data.prune(before=before, is_dry_run=False, now=NOW)
    assert keep_meter_data.prune(before=before, is_dry_run=False, now=later) == would
    assert min(models.MeterDay.objects.values_list("local_date", flat=True)) == before
    assert models.MeterDay.objects.count() == models.MeterDayVersion.objects.count() == 10
    assert partitions.months() == []
    with pytest.raises(management.CommandError, match="at least a year"):
        management.call_command("prune_meter_data", "--before=2099-01-01")
    management.call_command("prune_meter_data", "--before=2020-01-01", "--dry-run")
    assert "Would delete 0 days" in capsys.readouterr().out
