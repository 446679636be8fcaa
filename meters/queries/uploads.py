"""Files on their way in: their text, and how far they are."""

from meters import models
from openvpp.core import errors


class Upload:
    """The text of an uploaded file from a place on, read part by part."""

    def __init__(self, *, file_import_id: int, offset: int) -> None:
        self._file_import_id = file_import_id
        self._number, skipped = divmod(offset, models.ImportPart.BYTES)
        self._rest = self._next()[skipped:]

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        pieces: list[bytes] = []
        wanted = size
        while wanted and self._rest:
            piece = self._rest if size < 0 else self._rest[:wanted]
            pieces.append(piece)
            wanted -= len(piece)
            self._rest = self._rest[len(piece) :] or self._next()
        return b"".join(pieces)

    def _next(self) -> bytes:
        part = models.ImportPart.objects.filter(file_import_id=self._file_import_id, number=self._number).first()
        self._number += 1
        return part.text if part else b""


def get_file_import(*, utility_id: int, file_import_id: int) -> models.FileImport:
    """Return a utility's import.

    :raises errors.NotFound: it has none of that number.
    """
    found: models.FileImport | None = (
        models.FileImport.objects.of_utility(utility_id).filter(pk=file_import_id).select_related("batch").first()
    )
    if found is None:
        raise errors.NotFound("There is no such import.", code="not_found")
    return found


def get_csv_source(*, utility_id: int, name: str) -> models.CsvSource:
    """Return how a source's CSV is read.

    :raises errors.NotFound: the utility has no source of that name.
    """
    found: models.CsvSource | None = models.CsvSource.objects.of_utility(utility_id).filter(name=name).first()
    if found is None:
        raise errors.NotFound(f"There is no CSV source {name}.", code="not_found")
    return found
