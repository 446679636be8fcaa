"""Days of channels, packed; a reading is never a row. What a later delivery replaces is kept in MeterDayVersion."""

import dataclasses
import datetime
from collections.abc import Iterable, Sequence

from django.db import connection, models
from django.db.models import F, Q

from meters.domain import packing
from meters.models import channels


class PackedDay(models.Model):
    """The columns of a packed day; `meters.domain.packing` says what the bytes mean.

    Ordered and sized so that a 15-minute day with its index stays under three bytes an interval. `account_id` is
    the account that took service on that day as far as was known when it was stored, 0 for none: it spreads days over
    machines. It is not written again when agreements change, so who may see or pays for a day is asked of agreements.
    The database does not check the two references, which would cost more than writing the row: days are written only
    by `meters.operations`, in the transaction that locks the channel and makes the batch, and neither is deleted.
    """

    account_id = models.BigIntegerField()
    channel = models.ForeignKey(
        channels.Channel, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+"
    )
    local_date = models.DateField()
    batch = models.ForeignKey(
        channels.ImportBatch, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+"
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
    """A channel's local day as it stands now. PostgreSQL keeps the table in partitions of a month of local days."""

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
    def of(
        cls, *, day: packing.Day, channel: channels.Channel, account_id: int, batch: channels.ImportBatch
    ) -> "MeterDay":
        """Return an unsaved row."""
        return cls(account_id=account_id, channel=channel, batch=batch, **dataclasses.asdict(day))

    @classmethod
    def copy_pieces(cls, *, pieces: Iterable[bytes]) -> None:
        """Write new rows as `meters.domain.bulk` makes them."""
        statement = f"COPY {cls._meta.db_table} ({', '.join(cls.COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for piece in pieces:
                copy.write(piece)

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

    channel = models.ForeignKey(channels.Channel, on_delete=models.PROTECT, related_name="period_readings")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    version = models.SmallIntegerField()
    milli_units = models.BigIntegerField(help_text="Thousandths of the channel's unit.")
    quality = models.SmallIntegerField()
    batch = models.ForeignKey(channels.ImportBatch, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "starts_at", "ends_at", "version"], name="period_reading_version_once"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="period_reading_is_forward"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.starts_at} to {self.ends_at}"
