"""What was read of a file and set aside, chunk by chunk: taken up again to be stored, and forgotten."""

import zlib
from collections.abc import Iterator

from meters import models
from meters.domain import delivery, packing, staging
from openvpp.core import errors


class UnableToJoinChunks(errors.Invalid):
    """Lines of different chunks contradict each other."""


def deliveries(*, found: models.FileImport, at_once: int) -> Iterator[delivery.Delivery]:
    """Yield what was set aside; of a CSV, whose lines may be in order of time, each channel in one piece.

    At most about `at_once` readings of a CSV are in memory.

    :raises UnableToJoinChunks: lines of different chunks overlap.
    """
    if found.format != models.ImportBatch.Format.CSV:
        yield from (_decoded(found, number) for number in range(found.chunks))
        return
    turns = max(-(-found.intervals // at_once), 1)
    for turn in range(turns):
        pieces: dict[tuple[str, str], list[delivery.ChannelReadings]] = {}
        odd: list[str] = []
        for number in range(found.chunks):
            delivered = _decoded(found, number)
            odd += delivered.warnings if turn == 0 else ()
            for channel in delivered.channels:
                if zlib.crc32(channel.usage_point.encode()) % turns == turn:
                    pieces.setdefault((channel.usage_point, channel.flow), []).append(channel)
        try:
            merged = [delivery.merge(pieces=same) for same in pieces.values()]
        except packing.Unpackable as error:
            raise UnableToJoinChunks(str(error), code="csv_overlap") from error
        odd += [warning for _, more in merged for warning in more]
        yield delivery.Delivery(tuple(channel for channel, _ in merged), tuple(odd))


def _decoded(found: models.FileImport, number: int) -> delivery.Delivery:
    chunk = models.StagedChunk.objects.get(file_import=found, number=number)
    return staging.decode(content=bytes(chunk.content))


def warnings(*, found: models.FileImport) -> list[str]:
    """Return what was odd about any chunk, in their order."""
    return [
        warning
        for chunk in models.StagedChunk.objects.filter(file_import=found).order_by("number")
        for warning in staging.decode(content=bytes(chunk.content)).warnings
    ]


def forget(*, file_import_id: int) -> None:
    """Delete an import's text and chunks: it is stored, or refused."""
    models.ImportPart.objects.filter(file_import_id=file_import_id).delete()
    models.StagedChunk.objects.filter(file_import_id=file_import_id).delete()
