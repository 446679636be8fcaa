"""A file of readings on its way in: received whole, read in chunks that are set aside, stored by one transaction.

Whoever reads it may die at any moment: what was set aside stays, and the next one goes on from there. Nothing of a
file is stored before all of it was read, and nothing stays if it is refused.
"""

import datetime
import hashlib
import itertools
import zipfile
import zlib
from typing import Any, BinaryIO

from django.db import IntegrityError

from meters import models, operations, queries
from meters.adapters import csv_readings, file_chunks
from meters.domain import staging
from meters.usecases import ingest_readings, staged
from openvpp.core import clock, db, errors, jobs

MAX_BYTES = 512 * 2**20
AT_ONCE_BYTES = 4 * 2**20
"""A file up to this size is stored before the request is answered."""

JOB = "meters.import_file"
type Preview = csv_readings.Read

STORING = datetime.timedelta(seconds=200)
"""What takes longer to store is refused: else Celery (`CELERY_TASK_TIME_LIMIT`) would end it, and it began for ever."""

AT_ONCE_INTERVALS = 5_000_000
"""So many readings of a CSV file are in memory while it is stored."""

_SLICE = datetime.timedelta(seconds=20)
_GRACE = datetime.timedelta(minutes=1)
"""How long whoever sent a small file has it to themselves, before a worker takes it for forgotten."""

MOST_TRIES = 5
"""A file at which so many workers died one after the other is refused: it kills the next one too."""

_CHANNELS = 500
_State = models.FileImport.State


class UnableToImportFile(errors.Invalid):
    """The file cannot be taken; the detail says why, and nothing was stored."""


class ImportIsBusy(Exception):
    """Another worker is at this very import; try again later."""


@db.durable
def receive(
    *,
    stream: BinaryIO,
    utility_id: int,
    source: models.ImportBatch.Format,
    csv_source_id: int | None = None,
    service_point_id: int | None = None,
    file_name: str = "",
    imported_by_id: int | None = None,
    now: datetime.datetime,
) -> models.FileImport:
    """Keep a file's text, part by part, and have a worker read it; the same file for the same point is one import.

    A NEM file may come in a zip.

    :raises UnableToImportFile: it is empty, larger than `MAX_BYTES` or a zip that is none, or a CSV without a source.
    """
    if (source == models.ImportBatch.Format.CSV) != (csv_source_id is not None):
        raise UnableToImportFile("Name the source of a CSV file, and of no other.", code="csv_source")
    digest = _digest(stream)
    identity = {
        "utility_id": utility_id,
        "format": source,
        "sha256": digest,
        "csv_source_id": csv_source_id,
        "service_point_id": service_point_id,
    }
    known = _known(identity)
    if known is not None:
        return known
    try:
        with db.transaction():
            made = models.FileImport.objects.create(
                **identity,
                file_name=file_name[:255],
                bytes_total=0,
                lines_total=0,
                imported_by_id=imported_by_id,
                received_at=now,
            )
            _keep_parts(made, stream)
            run_at = now + _GRACE if is_small(file_import=made) else now
            jobs.enqueue(name=JOB, key=f"{JOB}:{made.pk}:0", arguments={"file_import_id": made.pk}, run_at=run_at)
    except IntegrityError:
        known = _known(identity)
        if known is None:
            raise
        return known
    return made


@db.durable
def run(*, file_import_id: int, now: datetime.datetime) -> None:
    """Read an import for a while, or store what was read; what is left is another job. Safe to run twice.

    A refusal is written down and not raised.

    :raises ImportIsBusy: another worker holds it.
    """
    until = now + _SLICE
    try:
        found = _begin(file_import_id)
        while found.state in {_State.RECEIVED, _State.READING}:
            if clock.get_now() >= until:
                _enqueue_rest(found, now)
                return
            _read_next(found)
        if found.state == _State.STORING:
            _store(file_import_id=file_import_id, now=now)
    except errors.UnableTo as error:
        _refuse(file_import_id=file_import_id, error=error, now=now)


@db.durable
def run_at_once(*, file_import_id: int, now: datetime.datetime) -> models.FileImport:
    """Read and store a small import before returning it.

    :raises errors.UnableTo: it is refused; why is written down too.
    """
    try:
        found = _begin(file_import_id)
        while found.state in {_State.RECEIVED, _State.READING}:
            _read_next(found)
        if found.state == _State.STORING:
            _store(file_import_id=file_import_id, now=now)
    except errors.UnableTo as error:
        _refuse(file_import_id=file_import_id, error=error, now=now)
        raise
    return queries.get_file_import(utility_id=found.utility_id, file_import_id=file_import_id)


@db.transaction
def _begin(file_import_id: int) -> models.FileImport:
    """Count a try before it begins, since who is killed counts nothing afterwards.

    :raises ImportIsBusy: another worker is storing it.
    :raises UnableToImportFile: too many tries came to nothing.
    """
    rows = models.FileImport.objects.select_for_update(skip_locked=True, of=("self",))
    found: models.FileImport | None = rows.select_related("utility", "csv_source").filter(pk=file_import_id).first()
    if found is None:
        raise ImportIsBusy(f"Import {file_import_id} is stored by another worker.")
    if found.state in {_State.RECEIVED, _State.READING, _State.STORING}:
        if found.tries >= MOST_TRIES:
            raise UnableToImportFile(
                f"{MOST_TRIES} workers ended over it, after {found.lines_done} of its {found.lines_total} lines. "
                "Split it, or send it in another format.",
                code="file_ends_its_worker",
            )
        found.tries += 1
        found.save(update_fields=["tries"])
    return found


def preview(*, text: bytes, source: models.CsvSource, most: int = 20) -> Preview:
    """Return the first rows of a CSV as they are understood, and what is wrong with lines among its first bytes."""
    whole = text[: text.rfind(b"\n") + 1] or text
    read = csv_readings.read(text=whole, mapping=source.to_mapping(), carried={})
    return csv_readings.Read(read.rows[:most], read.errors, read.carried)


def _read_next(found: models.FileImport) -> None:
    """Read the next chunk and set it aside; the row says how far it came, and nobody else came as far meanwhile.

    :raises errors.UnableTo: the chunk cannot be taken.
    """
    upload = queries.Upload(file_import_id=found.pk, offset=found.bytes_done)
    before = found.bytes_done
    chunk = _chunk(found, upload)
    points = {
        str(number): True
        for number in ingest_readings.match_points(
            usage_points=chunk.delivered.usage_points,
            utility_id=found.utility_id,
            service_point_id=found.service_point_id,
            points={},
        ).values()
    }
    carried = {"lines": chunk.carried, "points": found.carried.get("points", {}) | points}
    is_last = before + chunk.size >= found.bytes_total
    with db.transaction():
        moved = models.FileImport.objects.filter(pk=found.pk, bytes_done=before, state=found.state).update(
            state=_State.STORING if is_last else _State.READING,
            bytes_done=before + chunk.size,
            lines_done=found.lines_done + chunk.lines,
            intervals=found.intervals + chunk.delivered.intervals,
            chunks=found.chunks + 1,
            carried=carried,
            tries=0,
        )
        if not moved:
            raise ImportIsBusy(f"Import {found.pk} is read by another worker.")
        models.StagedChunk.objects.create(
            file_import=found, number=found.chunks, content=staging.encode(delivered=chunk.delivered)
        )
    found.refresh_from_db(fields=["state", "bytes_done", "lines_done", "intervals", "chunks", "carried"])


def _chunk(found: models.FileImport, upload: queries.Upload) -> file_chunks.Chunk:
    if found.format == models.ImportBatch.Format.GREEN_BUTTON:
        return file_chunks.read_green_button(upload=upload)
    if found.format == models.ImportBatch.Format.NEM:
        return file_chunks.read_nem(upload=upload, lines_before=found.lines_done)
    assert found.csv_source is not None  # noqa: S101 - a constraint of the row
    return file_chunks.read_csv(
        upload=upload, mapping=found.csv_source.to_mapping(), carried=found.carried.get("lines", {})
    )


@db.transaction
def _store(*, file_import_id: int, now: datetime.datetime) -> None:
    """Store every chunk that was set aside, all or none.

    :raises ImportIsBusy: another worker is storing it.
    :raises errors.UnableTo: the readings contradict what is stored, or there are none.
    """
    found = (
        models.FileImport.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("utility")
        .filter(pk=file_import_id)
        .first()
    )
    if found is None:
        raise ImportIsBusy(f"Import {file_import_id} is stored by another worker.")
    if found.state != _State.STORING:
        return
    if not found.intervals:
        raise UnableToImportFile(
            "; ".join(["The file holds no electricity readings.", *staged.warnings(found=found)]), code="no_readings"
        )
    points = [int(number) for number in found.carried["points"]]
    operations.refuse_unsigned(service_point_ids=points)
    batch, is_new = models.ImportBatch.objects.get_or_create(
        utility=found.utility,
        sha256=found.sha256,
        target=ingest_readings.target_of(points=points),
        defaults={
            "format": found.format,
            "file_name": found.file_name,
            "imported_by_id": found.imported_by_id,
            "imported_at": now,
            "intervals": found.intervals,
            "days_added": 0,
            "days_changed": 0,
            "days_unchanged": 0,
        },
    )
    if is_new:
        _store_chunks(found=found, batch=batch, now=now)
    models.FileImport.objects.filter(pk=found.pk).update(
        state=_State.STORED, batch=batch, finished_at=now, bytes_done=found.bytes_total, lines_done=found.lines_total
    )
    staged.forget(file_import_id=found.pk)


def _store_chunks(*, found: models.FileImport, batch: models.ImportBatch, now: datetime.datetime) -> None:
    """Store what was set aside.

    :raises errors.UnableTo: the readings contradict what is stored or each other, or storing takes too long.
    """
    until = clock.get_now() + STORING
    done = operations.Stored()
    warnings: list[str] = []
    extents: list[tuple[datetime.datetime, datetime.datetime]] = []
    for delivered in staged.deliveries(found=found, at_once=AT_ONCE_INTERVALS):
        warnings += delivered.warnings
        if not delivered.intervals:
            continue
        extents.append(ingest_readings.extent(delivered))
        if len(extents) == 1:
            warnings += ingest_readings.zone_warnings(
                delivered=delivered, time_zone=found.utility.time_zone, at=extents[0][0]
            )
        points = ingest_readings.match_points(
            usage_points=delivered.usage_points,
            utility_id=found.utility_id,
            service_point_id=found.service_point_id,
            points={},
        )
        for channels in itertools.batched(delivered.channels, _CHANNELS):
            if clock.get_now() > until:
                raise UnableToImportFile(
                    f"Storing the file takes longer than {STORING.seconds} seconds. Split it by service points.",
                    code="file_takes_too_long",
                )
            done += operations.store(batch=batch, channels=channels, points=points, now=now)
    batch.days_added, batch.days_changed, batch.days_unchanged = done.added, done.changed, done.unchanged
    batch.first_starts_at = min(first for first, _ in extents)
    batch.last_ends_at = max(last for _, last in extents)
    batch.warnings = list(dict.fromkeys(warnings))
    batch.save()


@db.transaction
def _refuse(*, file_import_id: int, error: errors.UnableTo, now: datetime.datetime) -> None:
    models.FileImport.objects.filter(pk=file_import_id).update(
        state=_State.REFUSED, code=error.code[:64], failure=error.detail, finished_at=now
    )
    staged.forget(file_import_id=file_import_id)


@db.transaction
def _enqueue_rest(found: models.FileImport, now: datetime.datetime) -> None:
    jobs.enqueue(
        name=JOB, key=f"{JOB}:{found.pk}:{found.bytes_done}", arguments={"file_import_id": found.pk}, run_at=now
    )


def _known(identity: dict[str, Any]) -> models.FileImport | None:
    rows = models.FileImport.objects.filter(**identity).exclude(state=_State.REFUSED)
    return rows.select_related("batch").first()


def _digest(stream: BinaryIO) -> bytes:
    digest, size = hashlib.sha256(), 0
    while piece := stream.read(models.ImportPart.BYTES):
        digest.update(piece)
        size += len(piece)
        if size > MAX_BYTES:
            raise UnableToImportFile(f"The file is larger than {MAX_BYTES} bytes.", code="file_too_large")
    if not size:
        raise UnableToImportFile("The file is empty.", code="file_empty")
    stream.seek(0)
    return digest.digest()


def _keep_parts(made: models.FileImport, stream: BinaryIO) -> None:
    is_zip = made.format == models.ImportBatch.Format.NEM and stream.read(2) == b"PK"
    stream.seek(0)
    if not is_zip:
        return _keep_text(made, stream)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise UnableToImportFile(f"The zip holds {len(members)} files, not one.", code="nem_malformed")
            with archive.open(members[0]) as file:
                return _keep_text(made, file)
    # zipfile raises NotImplementedError for a way of packing or ciphering that it does not know, RuntimeError for a
    # password: both are the sender's file, not ours.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise UnableToImportFile(f"The zip cannot be read: {error}.", code="nem_malformed") from error


def _keep_text(made: models.FileImport, stream: Any) -> None:
    number = size = lines = 0
    while piece := _whole_part(stream):
        models.ImportPart.of(file_import=made, number=number, text=piece).save(force_insert=True)
        number, size, lines = number + 1, size + len(piece), lines + piece.count(b"\n")
        if size > MAX_BYTES:
            raise UnableToImportFile(f"The file is larger than {MAX_BYTES} bytes.", code="file_too_large")
    made.bytes_total, made.lines_total = size, lines
    made.save(update_fields=["bytes_total", "lines_total"])


def _whole_part(stream: Any) -> bytes:
    """Return the next part, whole unless it is the last: a stream may give less than it is asked for."""
    pieces: list[bytes] = []
    wanted = models.ImportPart.BYTES
    while wanted and (piece := stream.read(wanted)):
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)


def is_small(*, file_import: models.FileImport) -> bool:
    """Say whether a file is stored while its sender waits."""
    return file_import.bytes_total <= AT_ONCE_BYTES
