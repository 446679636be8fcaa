"""A file in chunks that can be read one by one, so that a reader that dies begins again where the last chunk ended."""

import dataclasses
from typing import Any, Protocol

from meters.adapters import csv_readings, green_button, nem
from meters.domain import csv_mapping, delivery

CSV_CHUNK_BYTES = 4 * 2**20
NEM_CHUNK_BYTES = 16 * 2**20
_CHANNEL = b"\n200,"


class Upload(Protocol):
    """The text of a file from some place on."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Chunk:
    """What one chunk holds, how much of the file it is, and what the next one needs to know."""

    delivered: delivery.Delivery
    size: int
    lines: int
    carried: dict[str, Any]


def read_green_button(*, upload: Upload) -> Chunk:
    """Return all of a Green Button file: its reading types may stand at its end.

    :raises meters.adapters.espi.UnableToReadGreenButton: see `green_button.read`.
    """
    counted = _Counted(upload)
    return Chunk(green_button.read(stream=counted), counted.size, counted.lines, {})  # type: ignore[arg-type] # reads


def read_nem(*, upload: Upload, lines_before: int, chunk_bytes: int = NEM_CHUNK_BYTES) -> Chunk:
    """Return the next whole channels of a NEM12 file, or all of a NEM13 file.

    :raises nem.UnableToReadNem: see `nem.read`; line numbers are those of the file.
    """
    text = upload.read(chunk_bytes)
    while (more := upload.read(chunk_bytes)) != b"":
        place = text.rfind(_CHANNEL) + 1 if lines_before or text[:9].upper() == b"100,NEM12" else 0
        # The last channel of a chunk may go on, so it is left to the next one; the first has to be taken whole.
        if place > 1 and text.find(_CHANNEL) + 1 < place:
            return _nem_part(text[:place], lines_before, is_last=False)
        text += more
    return _nem_part(text, lines_before, is_last=True)


def read_csv(
    *, upload: Upload, mapping: csv_mapping.CsvMapping, carried: dict[str, Any], chunk_bytes: int = CSV_CHUNK_BYTES
) -> Chunk:
    """Return the next whole lines of a CSV file.

    :raises csv_readings.UnableToReadCsv: lines are wrong; which ones and why.
    """
    text = upload.read(chunk_bytes)
    if len(text) == chunk_bytes:
        place = text.rfind(b"\n") + 1
        if not place:
            raise csv_readings.UnableToReadCsv("A line is longer than any can be.", code="csv_lines")
        text = text[:place]
    read = csv_readings.read(text=text, mapping=mapping, carried=carried)
    csv_readings.refuse(read.errors)
    delivered = csv_readings.to_delivery(rows=read.rows, mapping=mapping)
    return Chunk(delivered, len(text), text.count(b"\n"), read.carried)


def _nem_part(text: bytes, lines_before: int, *, is_last: bool) -> Chunk:
    whole = text
    if lines_before:
        whole = b"100,NEM12,,,\n" + text
    if not is_last:
        whole += b"900\n"
    return Chunk(nem.read(content=whole, first_line=lines_before or 1), len(text), text.count(b"\n"), {})


class _Counted:
    """Counts what is read through it."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.size = 0
        self.lines = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._upload.read(size)
        self.size += len(chunk)
        self.lines += chunk.count(b"\n")
        return chunk
