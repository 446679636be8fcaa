"""Channels, their packed days and the deliveries that they came in.

A reading is never a row: a day of a channel is. What a later delivery replaces is kept in MeterDayVersion.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from django.conf import settings
from django.db import connection, models
from django.db.models import F, Q

from customers import models as customers_models
from meters.domain import packing, units


class Channel(models.Model):
    """One measured quantity in one direction: a meter's channel at a service point, or a device's telemetry.

    Local days are those of `time_zone`. `is_counted` is false for a coarser copy of another channel's energy,
    which must not be added to it.
    """

    class Source(models.TextChoices):
        METER = "meter", "Meter"
        DEVICE = "device", "Device"

    class Flow(models.TextChoices):
        DELIVERED = units.Flow.DELIVERED.value, "Delivered to the customer"
        RECEIVED = units.Flow.RECEIVED.value, "Received from the customer"
        NET = units.Flow.NET.value, "Net"

    class Unit(models.TextChoices):
        WATT_HOUR = units.Unit.WATT_HOUR.value, "Wh"
        VOLT_AMPERE_HOUR = units.Unit.VOLT_AMPERE_HOUR.value, "VAh"
        VOLT_AMPERE_REACTIVE_HOUR = units.Unit.VOLT_AMPERE_REACTIVE_HOUR.value, "varh"
        WATT = units.Unit.WATT.value, "W"

    id = models.AutoField(primary_key=True)
    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="channels")
    service_point = models.ForeignKey(
        customers_models.ServicePoint, on_delete=models.PROTECT, null=True, blank=True, related_name="channels"
    )
    source = models.CharField(max_length=10, choices=Source)
    key = models.CharField(
        max_length=200, blank=True, help_text="Empty for a service point's main channel, else what tells it apart."
    )
    flow = models.CharField(max_length=10, choices=Flow)
    unit = models.CharField(max_length=5, choices=Unit)
    time_zone = models.CharField(max_length=64)
    is_counted = models.BooleanField(default=True)

    utility_path = "utility"
    user_path = "service_point__agreements__account__accesses__customer__user"
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["utility", "service_point", "source", "key", "flow", "unit"],
                name="channel_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(service_point__isnull=False) | ~Q(key=""), name="channel_hangs_on_a_point_or_a_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service_point or self.key} {self.get_flow_display()} ({self.get_unit_display()})"


class ImportBatch(models.Model):
    """One delivery of readings. The same file for the same points is one delivery, however often it is sent."""

    class Format(models.TextChoices):
        GREEN_BUTTON = "green_button", "Green Button"
        NEM = "nem", "NEM12 or NEM13"
        CSV = "csv", "CSV"
        PUSH = "push", "Push"
        TELEMETRY = "telemetry", "Telemetry"

    id = models.AutoField(primary_key=True)
    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="import_batches")
    format = models.CharField(max_length=20, choices=Format)
    file_name = models.CharField(max_length=255, blank=True)
    sha256 = models.BinaryField(max_length=32, help_text="Of the file as delivered.")
    target = models.CharField(max_length=500, help_text="The service points that the readings were for.")
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    imported_at = models.DateTimeField()
    intervals = models.PositiveBigIntegerField()
    days_added = models.PositiveIntegerField()
    days_changed = models.PositiveIntegerField()
    days_unchanged = models.PositiveIntegerField()
    first_starts_at = models.DateTimeField(null=True, blank=True)
    last_ends_at = models.DateTimeField(null=True, blank=True)
    warnings = models.JSONField(default=list, blank=True)

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "import batches"
        constraints = [models.UniqueConstraint(fields=["utility", "sha256", "target"], name="import_batch_once")]
        indexes = [models.Index(fields=["utility", "-imported_at"], name="import_batch_by_time")]

    def __str__(self) -> str:
        return f"{self.get_format_display()} {self.file_name or self.pk}"


class PackedDay(models.Model):
    """The columns of a packed day; `meters.domain.packing` says what the bytes mean.

    Ordered and sized so that a 15-minute day with its index stays under three bytes an interval. `account_id` is
    the account that took service on that day, 0 for none: it spreads days over machines and needs no join. The
    database does not check the two references, which would cost more than writing the row: days are written only
    by `meters.operations`, in the transaction that locks the channel and makes the batch, and neither is deleted.
    """

    account_id = models.BigIntegerField()
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+"
    )
    local_date = models.DateField()
    batch = models.ForeignKey(
        ImportBatch, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+"
    )
    scale = models.SmallIntegerField(help_text="Thousandths of the unit that one count is.")
    interval_seconds = models.SmallIntegerField()
    offset_seconds = models.SmallIntegerField(help_text="From local midnight to the first interval.")
    qualities = models.BinaryField(help_text="One byte for the whole day, or one for each interval.")
    counts = models.BinaryField(help_text="Little-endian signed integers of 2, 4 or 8 bytes.")

    class Meta:
        abstract = True

    def to_day(self) -> packing.Day:
        """Return the day that the columns pack."""
        return packing.Day(
            local_date=self.local_date,
            interval_seconds=self.interval_seconds,
            offset_seconds=self.offset_seconds,
            scale=self.scale,
            qualities=bytes(self.qualities),
            counts=bytes(self.counts),
        )


class MeterDay(PackedDay):
    """A channel's local day as it stands now."""

    pk = models.CompositePrimaryKey("channel_id", "local_date")

    COLUMNS = (
        "account_id",
        "channel_id",
        "local_date",
        "batch_id",
        "scale",
        "interval_seconds",
        "offset_seconds",
        "qualities",
        "counts",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(scale__gt=0), name="meter_day_scale_is_positive"),
            models.CheckConstraint(condition=Q(interval_seconds__gt=0), name="meter_day_interval_is_positive"),
        ]

    @classmethod
    def of(cls, *, day: packing.Day, channel: Channel, account_id: int, batch: ImportBatch) -> "MeterDay":
        """Return an unsaved row."""
        return cls(account_id=account_id, channel=channel, batch=batch, **dataclasses.asdict(day))

    @classmethod
    def copy_buffer(cls, *, buffer: bytes) -> None:
        """Write new rows that `meters.domain.bulk` made."""
        statement = f"COPY {cls._meta.db_table} ({', '.join(cls.COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(buffer)

    @classmethod
    def copy_in(cls, *, rows: Sequence["MeterDay"]) -> None:
        """Write new rows by COPY, which costs a tenth of an INSERT."""
        if not rows:
            return
        types = ["int8", "int4", "date", "int4", "int2", "int2", "int2", "bytea", "bytea"]
        statement = f"COPY {cls._meta.db_table} ({', '.join(cls.COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row([getattr(row, column) for column in cls.COLUMNS])


class MeterDayVersion(PackedDay):
    """A day as it stood before a later delivery changed it. Never edited, never deleted."""

    version = models.SmallIntegerField(help_text="Counts from 1; the standing day is one later than the last of these.")
    superseded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "local_date", "version"], name="meter_day_version_once")
        ]

    @classmethod
    def of(cls, *, day: MeterDay, version: int, superseded_at: datetime.datetime) -> "MeterDayVersion":
        """Return an unsaved copy of a day that is about to change."""
        return cls(
            version=version,
            superseded_at=superseded_at,
            **{column: getattr(day, column) for column in MeterDay.COLUMNS},
        )


class PeriodReading(models.Model):
    """Energy over a span longer than a day, as monthly feeds deliver it; the highest version holds."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="period_readings")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    version = models.SmallIntegerField()
    milli_units = models.BigIntegerField(help_text="Thousandths of the channel's unit.")
    quality = models.SmallIntegerField()
    batch = models.ForeignKey(ImportBatch, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "starts_at", "ends_at", "version"], name="period_reading_version_once"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="period_reading_is_forward"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.starts_at} to {self.ends_at}"
