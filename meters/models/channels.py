"""Channels, and the deliveries and edits that their readings came in."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from customers import models as customers_models
from meters.domain import units


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
    """One delivery, estimate or edit of readings: where each day's values come from, who brought them, and why.

    The same file for the same points is one delivery, however often it is sent.
    """

    class Format(models.TextChoices):
        GREEN_BUTTON = "green_button", "Green Button"
        NEM = "nem", "NEM12 or NEM13"
        CSV = "csv", "CSV"
        PUSH = "push", "Push"
        TELEMETRY = "telemetry", "Telemetry"
        REGISTER = "register", "Register reads"
        ESTIMATE = "estimate", "Estimate"
        EDIT = "edit", "Edit by a person"

    id = models.AutoField(primary_key=True)
    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="import_batches")
    format = models.CharField(max_length=20, choices=Format)
    file_name = models.CharField(max_length=255, blank=True)
    sha256 = models.BinaryField(max_length=32, help_text="Of the file as delivered.")
    target = models.CharField(max_length=500, help_text="The service points that the readings were for.")
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=500, blank=True, help_text="Why a person, or a rule, changed readings.")
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
