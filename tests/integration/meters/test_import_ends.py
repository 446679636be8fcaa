"""Files that would never end: what takes too long to store, and what kills whoever reads it."""

import datetime

import pytest
from django.conf import settings

from customers import models as customers_models
from meters import models
from meters.usecases import import_file
from tests.integration.meters import test_import_file as files

NOW, ZONE = files.NOW, files.ZONE
point, source = files.point, files.source


def test_what_takes_too_long_to_store_is_refused_and_not_begun_again(
    source: models.CsvSource, point: customers_models.ServicePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = files.receive(files.lines(point, first=datetime.datetime(2026, 6, 1, tzinfo=ZONE), hours=24), source)
    monkeypatch.setattr(import_file, "STORING", datetime.timedelta(seconds=-1))

    import_file.run(file_import_id=received.pk, now=datetime.datetime.now(datetime.UTC))

    received.refresh_from_db()
    assert (received.state, received.code) == ("refused", "file_takes_too_long")
    assert files.nothing_is_stored()


@pytest.mark.parametrize("step", ["_chunk", "_store_chunks"])
def test_file_that_kills_its_workers_ends_as_refused(
    source: models.CsvSource, point: customers_models.ServicePoint, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    received = files.receive(files.lines(point, first=datetime.datetime(2026, 6, 1, tzinfo=ZONE), hours=24), source)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(import_file, step, die)
    read_first = step == "_store_chunks"
    for _ in range(import_file.MOST_TRIES + read_first):
        with pytest.raises(SystemExit):
            import_file.run(file_import_id=received.pk, now=datetime.datetime.now(datetime.UTC))
    import_file.run(file_import_id=received.pk, now=NOW)

    received.refresh_from_db()
    assert (received.state, received.code, received.finished_at) == ("refused", "file_ends_its_worker", NOW)
    assert received.failure.startswith("5 workers ended over it, after ")
    assert files.nothing_is_stored()
    assert not models.ImportPart.objects.exists()


def test_storing_ends_before_the_task_does() -> None:
    limit = datetime.timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)

    assert limit > import_file.STORING + import_file._SLICE
