"""How a source's CSV is read, and files on their way in: uploaded, read in chunks, stored in one go."""

import zlib
import zoneinfo

from django.conf import settings
from django.core import exceptions
from django.db import models
from django.db.models import Q

from customers import models as customers_models
from meters.domain import csv_mapping, units
from meters.models import channels


class CsvSource(models.Model):
    """What the columns of one source's CSV mean. A column is named by its header, or by `#` and its place from 1."""

    class Stamp(models.TextChoices):
        START = "start", "When the interval starts"
        END = "end", "When the interval ends"

    class Unit(models.TextChoices):
        WH = "Wh", "Wh"
        KWH = "kWh", "kWh"
        MWH = "MWh", "MWh"
        KW = "kW", "kW, the mean over the interval"
        KVAH = "kVAh", "kVAh"
        KVARH = "kvarh", "kvarh"

    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="csv_sources")
    name = models.SlugField(max_length=64)
    delimiter = models.CharField(max_length=1, default=",", help_text="A tab is written as t.")
    lines_before = models.PositiveSmallIntegerField(default=0, help_text="Lines before the header, or the first row.")
    has_header = models.BooleanField(default=True)
    point_column = models.CharField(
        max_length=100, blank=True, help_text="Number of the service point; empty if a file is of one point."
    )
    time_column = models.CharField(max_length=100)
    clock_column = models.CharField(
        max_length=100, blank=True, help_text="Where date and time of day stand apart; joined by a space."
    )
    time_format = models.CharField(
        max_length=64, default="iso", help_text="iso, epoch (seconds), or as strptime has it: %d/%m/%Y %H:%M."
    )
    time_zone = models.CharField(max_length=64, help_text="Of stamps without an offset, such as America/New_York.")
    stamp = models.CharField(max_length=5, choices=Stamp, default=Stamp.START)
    interval_minutes = models.PositiveSmallIntegerField(default=15)
    value_column = models.CharField(max_length=100)
    received_column = models.CharField(
        max_length=100, blank=True, help_text="Energy given to the grid, if it stands beside."
    )
    unit = models.CharField(max_length=5, choices=Unit, default=Unit.KWH)
    decimal_comma = models.BooleanField(default=False)
    flow = models.CharField(max_length=10, choices=channels.Channel.Flow, default=channels.Channel.Flow.DELIVERED)
    quality_column = models.CharField(max_length=100, blank=True)
    quality_words = models.JSONField(
        default=dict, blank=True, help_text='What the words mean: {"A": "valid", "E": "estimated"}.'
    )

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name = "CSV source"
        constraints = [
            models.UniqueConstraint(fields=["utility", "name"], name="csv_source_once"),
            models.CheckConstraint(
                condition=Q(interval_minutes__gte=1, interval_minutes__lte=60), name="csv_source_interval_is_possible"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a zone, a time format or quality words that mean nothing.

        :raises ValidationError: naming the field.
        """
        if self.time_zone not in zoneinfo.available_timezones():
            raise exceptions.ValidationError({"time_zone": "There is no such zone."})
        known = {quality.name.lower() for quality in units.Quality}
        if not isinstance(self.quality_words, dict) or not set(self.quality_words.values()) <= known:
            raise exceptions.ValidationError({"quality_words": f"Words mean one of {', '.join(sorted(known))}."})
        if self.time_format not in {csv_mapping.ISO, csv_mapping.EPOCH} and "%" not in self.time_format:
            raise exceptions.ValidationError({"time_format": "Say iso, epoch, or a format such as %d/%m/%Y %H:%M."})

    def to_mapping(self) -> csv_mapping.CsvMapping:
        """Return what reading a file needs."""
        return csv_mapping.CsvMapping(
            zone=zoneinfo.ZoneInfo(self.time_zone),
            time_column=self.time_column,
            value_column=self.value_column,
            delimiter=self.delimiter,
            lines_before=self.lines_before,
            has_header=self.has_header,
            point_column=self.point_column,
            clock_column=self.clock_column,
            time_format=self.time_format,
            is_end_stamped=self.stamp == self.Stamp.END,
            interval_seconds=60 * self.interval_minutes,
            received_column=self.received_column,
            unit=self.unit,
            decimal_comma=self.decimal_comma,
            flow=units.Flow(self.flow),
            quality_column=self.quality_column,
            quality_words={word: units.Quality[name.upper()] for word, name in self.quality_words.items()},
        )


class FileImport(models.Model):
    """A file on its way in. It is read in chunks that are set aside, and stored by one transaction at the end."""

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        READING = "reading", "Being read"
        STORING = "storing", "Being stored"
        STORED = "stored", "Stored"
        REFUSED = "refused", "Refused"

    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="file_imports")
    format = models.CharField(max_length=20, choices=channels.ImportBatch.Format)
    csv_source = models.ForeignKey(CsvSource, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    service_point = models.ForeignKey(
        customers_models.ServicePoint, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    file_name = models.CharField(max_length=255, blank=True)
    sha256 = models.BinaryField(max_length=32, help_text="Of the file as delivered.")
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED)
    bytes_total = models.PositiveBigIntegerField(help_text="Of the text, unpacked if it came in a zip.")
    bytes_done = models.PositiveBigIntegerField(default=0)
    lines_total = models.PositiveBigIntegerField()
    lines_done = models.PositiveBigIntegerField(default=0)
    intervals = models.PositiveBigIntegerField(default=0, help_text="Readings found so far.")
    chunks = models.PositiveIntegerField(default=0, help_text="Chunks read and set aside.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="Begun since something of it was last done.")
    carried = models.JSONField(default=dict, help_text="What reading the next chunk needs to know of those before.")
    code = models.CharField(max_length=64, blank=True)
    failure = models.TextField(blank=True)
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    received_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    batch = models.ForeignKey(
        channels.ImportBatch, on_delete=models.PROTECT, null=True, blank=True, related_name="file_imports"
    )

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["utility", "format", "sha256", "csv_source", "service_point"],
                condition=~Q(state="refused"),
                name="file_import_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=~Q(format="csv") | Q(csv_source__isnull=False), name="file_import_of_csv_has_a_source"
            ),
        ]
        indexes = [models.Index(fields=["utility", "-received_at"], name="file_import_by_time")]

    def __str__(self) -> str:
        return f"{self.file_name or self.pk} ({self.get_state_display()})"


class ImportPart(models.Model):
    """A megabyte of an uploaded file's text, compressed; gone when the file is stored or refused."""

    BYTES = 2**20

    file_import = models.ForeignKey(FileImport, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file_import", "number"], name="import_part_once")]

    def __str__(self) -> str:
        return f"{self.file_import_id}/{self.number}"

    @classmethod
    def of(cls, *, file_import: FileImport, number: int, text: bytes) -> "ImportPart":
        """Return an unsaved part."""
        return cls(file_import=file_import, number=number, content=zlib.compress(text, 1))

    @property
    def text(self) -> bytes:
        """Return the bytes of the file that this part holds."""
        return zlib.decompress(bytes(self.content))


class StagedChunk(models.Model):
    """Readings of one chunk of a file, set aside until all of it is read (`meters.domain.staging`)."""

    file_import = models.ForeignKey(FileImport, on_delete=models.CASCADE, related_name="staged")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file_import", "number"], name="staged_chunk_once")]

    def __str__(self) -> str:
        return f"{self.file_import_id}/{self.number}"
