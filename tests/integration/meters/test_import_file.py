"""Files come in by chunks: resumable, stored whole or not at all, the same file once."""

import datetime
import io
import pathlib
import zoneinfo
from typing import Any

import numpy as np
import pytest
from django.core import management
from django.core.files import uploadedfile

from customers import models as customers_models
from meters import models, operations, queries
from meters.adapters import csv_readings, file_chunks
from meters.domain import units
from meters.usecases import import_file, ingest_readings
from openvpp.core import jobs
from openvpp.core import models as core_models
from tests.factories import customers
from tests.integration.meters.conftest import client

SAMPLES = pathlib.Path(__file__).parents[2] / "data" / "meter"
HOURS = SAMPLES / "green_button" / "gb_openespi_1hrLP_32Days.xml"
NOW = datetime.datetime(2026, 6, 20, 12, tzinfo=datetime.UTC)
ZONE = zoneinfo.ZoneInfo("America/New_York")
Format = models.ImportBatch.Format


@pytest.fixture
def point(transactional_db: None) -> customers_models.ServicePoint:
    return customers.ServicePoint.create()


@pytest.fixture
def source(point: customers_models.ServicePoint) -> models.CsvSource:
    made = models.CsvSource(
        utility=point.premise.utility,
        name="metering-co",
        delimiter=";",
        lines_before=1,
        point_column="Meter point",
        time_column="Day",
        clock_column="Time",
        time_format="%d.%m.%Y %H:%M",
        time_zone="America/New_York",
        stamp="end",
        interval_minutes=60,
        value_column="In",
        received_column="Out",
        unit="kWh",
        decimal_comma=True,
        quality_column="Status",
        quality_words={"W": "valid", "E": "estimated"},
    )
    made.full_clean()
    made.save()
    return made


def lines(point: customers_models.ServicePoint, *, first: datetime.datetime, hours: int, value: str = "1.234,5") -> str:
    rows = ["Export of Metering Co", "Meter point;Day;Time;In;Out;Status"]
    for hour in range(1, hours + 1):
        end = (first + datetime.timedelta(hours=hour)).astimezone(ZONE)
        rows.append(f"{point.number};{end:%d.%m.%Y};{end:%H:%M};{value};0,25;{'E' if hour == 2 else 'W'}")
    return "\n".join([*rows, ""])


def receive(text: str, source: models.CsvSource, **extra: Any) -> models.FileImport:
    return import_file.receive(
        stream=io.BytesIO(text.encode()),
        utility_id=source.utility_id,
        source=Format.CSV,
        csv_source_id=source.pk,
        file_name="june.csv",
        now=NOW,
        **extra,
    )


def nothing_is_stored() -> bool:
    tables = (models.Channel, models.ImportBatch, models.MeterDay, models.ImportPart, models.StagedChunk)
    return not any(table.objects.exists() for table in tables)


def test_csv_with_end_stamps_commas_and_words(source: models.CsvSource, point: customers_models.ServicePoint) -> None:
    first = datetime.datetime(2026, 6, 1, tzinfo=ZONE)
    received = receive(lines(point, first=first, hours=24), source)

    done = import_file.run_at_once(file_import_id=received.pk, now=NOW)

    assert done.batch is not None
    assert (done.state, done.batch.intervals, done.batch.days_added) == ("stored", 48, 2)
    assert (done.lines_done, done.lines_total) == (26, 26)
    read = queries.get_consumption(
        service_point_id=point.pk, starts_at=first, ends_at=first + datetime.timedelta(days=1)
    )
    assert int(read.delivered_milli_wh.sum()) == 24 * 1_234_500_000
    assert int(read.received_milli_wh.sum()) == 24 * 250_000
    assert int(read.starts[0]) == int(first.timestamp())
    assert read.qualities.tolist()[:3] == [units.Quality.VALID, units.Quality.ESTIMATED, units.Quality.VALID]
    assert (
        queries.count_estimated(service_point_id=point.pk, starts_at=first, ends_at=first + datetime.timedelta(days=1))
        == 1
    )
    again = receive(lines(point, first=first, hours=24), source)
    assert (again.pk, models.ImportBatch.objects.count()) == (done.pk, 1)
    assert not models.ImportPart.objects.exists()
    assert not models.StagedChunk.objects.exists()


@pytest.mark.parametrize(("day", "hours"), [(datetime.date(2025, 11, 2), 25), (datetime.date(2026, 3, 8), 23)])
def test_local_stamps_of_daylight_saving_days(
    source: models.CsvSource, point: customers_models.ServicePoint, day: datetime.date, hours: int
) -> None:
    first = datetime.datetime.combine(day, datetime.time(), tzinfo=ZONE).astimezone(datetime.UTC)
    received = receive(lines(point, first=first, hours=hours), source)

    import_file.run_at_once(file_import_id=received.pk, now=NOW)

    read = queries.get_consumption(
        service_point_id=point.pk, starts_at=first, ends_at=first + datetime.timedelta(hours=hours)
    )
    assert len(read) == hours
    assert set(np.diff(read.starts)) == {3600}


def test_wrong_lines_are_named_and_nothing_is_stored(
    source: models.CsvSource, point: customers_models.ServicePoint
) -> None:
    text = lines(point, first=datetime.datetime(2026, 6, 1, tzinfo=ZONE), hours=4)
    wrong = text.replace("1.234,5", "x", 1).replace("02:00", "26:00", 1) + f"{point.number};01.06.2026;05:00;1;0;?\n"
    wrong += f"{point.number};08.03.2026;02:30;1;0;W\nshort\n"
    received = receive(wrong, source)

    with pytest.raises(csv_readings.UnableToReadCsv) as refusal:
        import_file.run_at_once(file_import_id=received.pk, now=NOW)

    assert [(error["line"], error["code"]) for error in refusal.value.extra["errors"]] == [  # type: ignore[attr-defined] # a list
        (3, "wrong_value"),
        (4, "wrong_time"),
        (7, "unknown_quality"),
        (8, "no_such_time"),
        (9, "short_line"),
    ]
    assert nothing_is_stored()
    received.refresh_from_db()
    assert (received.state, received.code) == ("refused", "csv_lines")
    preview = import_file.preview(text=wrong.encode(), source=source)
    assert [row.line for row in preview.rows] == [5, 6]
    assert len(preview.errors) == 5


def test_unknown_point_and_missing_column_are_refused(
    source: models.CsvSource, point: customers_models.ServicePoint
) -> None:
    text = lines(point, first=datetime.datetime(2026, 6, 1, tzinfo=ZONE), hours=2)
    for wrong, code in (
        (text.replace(point.number, "NOBODY"), "unknown_usage_point"),
        (text.replace(";In;", ";X;"), "csv_lines"),
    ):
        received = receive(wrong, source)
        import_file.run(file_import_id=received.pk, now=datetime.datetime.now(datetime.UTC))
        received.refresh_from_db()
        assert (received.state, received.code) == ("refused", code)
    assert nothing_is_stored()


@pytest.mark.parametrize("chunk", [400, 1500])
def test_killed_worker_goes_on_where_it_was(
    source: models.CsvSource, point: customers_models.ServicePoint, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    first = datetime.datetime(2025, 11, 1, tzinfo=ZONE)
    text = lines(point, first=first.astimezone(datetime.UTC), hours=72)
    received = receive(text, source)
    real = file_chunks.read_csv
    died: list[bool] = []

    def read(**kwargs: Any) -> file_chunks.Chunk:
        if len(died) in {1, 3}:
            died.append(True)
            raise SystemExit
        died.append(False)
        return real(**kwargs, chunk_bytes=chunk)

    monkeypatch.setattr(file_chunks, "read_csv", read)
    seen = []
    for _ in range(3):
        try:
            import_file.run(file_import_id=received.pk, now=datetime.datetime.now(datetime.UTC))
        except SystemExit:
            received.refresh_from_db()
            seen.append((received.state, received.bytes_done > 0, models.MeterDay.objects.exists()))

    assert seen == [("reading", True, False)] * 2
    received.refresh_from_db()
    assert (received.state, received.bytes_done, received.lines_done) == ("stored", len(text), 74)
    read_back = queries.get_consumption(
        service_point_id=point.pk, starts_at=first, ends_at=first + datetime.timedelta(hours=71)
    )
    assert int(read_back.delivered_milli_wh.sum()) == 72 * 1_234_500_000
    assert set(np.diff(read_back.starts)) == {3600}


def test_nem12_in_chunks_is_what_it_is_in_one(
    point: customers_models.ServicePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = SAMPLES / "nem" / "unzipped" / "Example_NEM12_multiple_meters.csv"
    utility = point.premise.utility
    numbers = sorted({line.split(",")[1] for line in path.read_text().splitlines() if line.startswith("200")})
    for number in numbers:
        customers.ServicePoint.create(premise__utility=utility, number=number)
    other = customers.Utility.create(time_zone=utility.time_zone)
    for number in numbers:
        customers.ServicePoint.create(premise__utility=other, number=number)
    real = file_chunks.read_nem
    monkeypatch.setattr(file_chunks, "read_nem", lambda **kwargs: real(**kwargs, chunk_bytes=700))
    received = import_file.receive(
        stream=io.BytesIO(path.read_bytes()), utility_id=utility.pk, source=Format.NEM, now=NOW
    )

    import_file.run(file_import_id=received.pk, now=datetime.datetime.now(datetime.UTC))

    received.refresh_from_db()
    whole = ingest_readings.ingest_nem(stream=io.BytesIO(path.read_bytes()), utility_id=other.pk, now=NOW)
    assert received.batch is not None
    assert received.state == "stored"
    assert received.batch.intervals == whole.intervals
    assert received.batch.days_added == whole.days_added

    def days(utility_id: int) -> list[tuple[Any, ...]]:
        rows = models.MeterDay.objects.filter(channel__utility_id=utility_id)
        return sorted(
            (row.channel.service_point.number, row.channel.key, row.local_date, bytes(row.counts), row.scale)
            for row in rows.select_related("channel__service_point")
        )

    assert days(utility.pk) == days(other.pk)


def test_upload_is_followed_until_the_worker_stored_it(
    point: customers_models.ServicePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_file, "AT_ONCE_BYTES", 1000)
    system = client(user=None, scope="usage:write", utility=point.premise.utility)
    upload = uploadedfile.SimpleUploadedFile(HOURS.name, HOURS.read_bytes(), "application/xml")

    taken = system.post("/api/v1/meter-imports/", {"file": upload, "service_point": point.number}, format="multipart")

    assert (taken.status_code, taken.json()["state"]) == (202, "received")
    address = f"/api/v1/meter-imports/{taken.json()['id']}/"
    assert system.get(address).json()["bytes_total"] == HOURS.stat().st_size
    assert not models.MeterDay.objects.exists()
    assert jobs.run_due(now=datetime.datetime.now(datetime.UTC)) == 1
    assert core_models.Job.objects.get(name=import_file.JOB).finished_at is not None
    done = system.get(address).json()
    assert (done["state"], done["intervals"], done["days_added"], done["code"]) == ("stored", 768, 32, "")
    stranger = client(user=None, scope="usage:write", utility=customers.Utility.create())
    person = client(user=customers.StaffRole.create(utility=point.premise.utility).user, scope="usage:write")
    lesser = client(user=None, scope="usage:read", utility=point.premise.utility)
    assert [caller.get(address).status_code for caller in (stranger, person, lesser)] == [404, 403, 403]
    assert type(system)().get(address).status_code == 401


def test_csv_by_command_and_preview_by_api(
    source: models.CsvSource,
    point: customers_models.ServicePoint,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "day.csv"
    path.write_text(lines(point, first=datetime.datetime(2026, 6, 1, tzinfo=ZONE), hours=24))
    system = client(user=None, scope="usage:write", utility=source.utility)
    fields = {"format": "csv", "source": "metering-co", "preview": "true"}

    shown = system.post(
        "/api/v1/meter-imports/",
        {"file": uploadedfile.SimpleUploadedFile("day.csv", path.read_bytes()), **fields},
        format="multipart",
    )

    assert shown.status_code == 200
    assert shown.json()["rows"][0] == {
        "line": 3,
        "service_point": point.number,
        "starts_at": "2026-06-01T04:00:00Z",
        "ends_at": "2026-06-01T05:00:00Z",
        "milli_units": 1_234_500_000,
        "received_milli_units": 250_000,
        "quality": "valid",
    }
    assert nothing_is_stored()
    management.call_command("import_csv", str(path), utility=source.utility.slug, source="metering-co")
    assert "48 intervals; days added 2" in capsys.readouterr().out


def test_large_target_and_missing_source_are_handled(point: customers_models.ServicePoint) -> None:
    assert len(ingest_readings.target_of(points=list(range(10_000)))) < 500
    with pytest.raises(import_file.UnableToImportFile):
        import_file.receive(stream=io.BytesIO(b"x"), utility_id=point.premise.utility_id, source=Format.CSV, now=NOW)
    with pytest.raises(import_file.UnableToImportFile):
        import_file.receive(stream=io.BytesIO(b""), utility_id=point.premise.utility_id, source=Format.NEM, now=NOW)
    assert not models.FileImport.objects.exists()


def test_csv_in_order_of_time_is_stored_once_a_channel_and_keeps_no_half_days(
    source: models.CsvSource, point: customers_models.ServicePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = customers.ServicePoint.create(premise__utility=source.utility)
    first = datetime.datetime(2026, 6, 1, tzinfo=ZONE)
    head, mine = lines(point, first=first, hours=48).split("Status\n")
    theirs = lines(other, first=first, hours=48).split("Status\n")[1].splitlines()
    mixed = [line for pair in zip(mine.splitlines(), theirs, strict=True) for line in pair]
    mixed.append(mixed[0].replace("1.234,5", "7,5"))
    real = file_chunks.read_csv
    monkeypatch.setattr(file_chunks, "read_csv", lambda **kwargs: real(**kwargs, chunk_bytes=700))
    monkeypatch.setattr(import_file, "AT_ONCE_INTERVALS", 50)
    received = receive("\n".join([f"{head}Status", *mixed, ""]), source)

    done = import_file.run_at_once(file_import_id=received.pk, now=NOW)

    assert done.batch is not None
    assert done.chunks > 4
    assert (done.batch.days_added, done.batch.days_changed) == (8, 0)
    assert not models.MeterDayVersion.objects.exists()
    for one, hour in ((point, 7_500_000), (other, 1_234_500_000)):
        read = queries.get_consumption(
            service_point_id=one.pk, starts_at=first, ends_at=first + datetime.timedelta(days=2)
        )
        assert read.delivered_milli_wh.tolist() == [hour] + [1_234_500_000] * 47
    asked = models.MeterException.objects.get(kind="duplicate", channel__flow="delivered")
    assert (asked.service_point_id, asked.starts_at) == (point.pk, first)


def test_files_do_not_pass_by_the_device_that_has_to_sign(
    source: models.CsvSource, point: customers_models.ServicePoint
) -> None:
    key = models.ReadingKey.objects.create(
        utility=source.utility,
        service_point=point,
        device="M-1",
        algorithm="ed25519",
        public_key=bytes(32),
        fingerprint="f",
        is_required=True,
        registered_at=NOW,
    )
    text = lines(point, first=datetime.datetime(2026, 6, 1, tzinfo=ZONE), hours=2)

    received = receive(text, source)
    import_file.run(file_import_id=received.pk, now=datetime.datetime.now(datetime.UTC))
    received.refresh_from_db()
    with pytest.raises(operations.UnableToBelieveReading) as refusal:
        ingest_readings.ingest_green_button(
            stream=io.BytesIO(HOURS.read_bytes()), utility_id=source.utility_id, service_point_id=point.pk, now=NOW
        )

    assert (received.state, received.code, refusal.value.code) == ("refused", "unsigned", "unsigned")
    assert nothing_is_stored()
    models.ReadingKey.objects.filter(pk=key.pk).update(ended_at=NOW)
    again = import_file.run_at_once(file_import_id=receive(text, source).pk, now=NOW)
    assert again.state == "stored"
