"""What validation asks of whom, and how far readings may stray before it asks."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from customers import models as customers_models
from meters.domain import validation
from meters.models import channels, registers


class ValidationRules(models.Model):
    """How far a utility's readings may stray; a utility without a row has the defaults."""

    utility = models.OneToOneField(
        customers_models.Utility, on_delete=models.PROTECT, primary_key=True, related_name="validation_rules"
    )
    most_kw = models.DecimalField(
        max_digits=12, decimal_places=3, default=10_000, help_text="More power than this in an interval is asked about."
    )
    spike_factor = models.PositiveIntegerField(
        default=20, help_text="So many times what is usual at most is asked about."
    )
    frozen_hours = models.PositiveSmallIntegerField(
        default=24, help_text="The same value, not nought, for so long is asked about."
    )
    late_hours = models.PositiveSmallIntegerField(
        default=1, help_text="A reading so far in the future shows a clock that is wrong."
    )
    interpolate_minutes = models.PositiveSmallIntegerField(
        default=120, help_text="Gaps up to this are estimated in a straight line."
    )
    register_tolerance_percent = models.DecimalField(max_digits=5, decimal_places=2, default=1)

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "validation rules"
        constraints = [
            models.CheckConstraint(condition=Q(most_kw__gt=0, spike_factor__gt=1), name="validation_rules_make_sense")
        ]

    def __str__(self) -> str:
        return f"Rules of {self.utility}"

    def to_rules(self) -> validation.Rules:
        """Return what the checks need."""
        return validation.Rules(
            most_watts=int(self.most_kw * 1000),
            spike_factor=self.spike_factor,
            frozen_seconds=self.frozen_hours * 3600,
            late_seconds=self.late_hours * 3600,
            interpolate_seconds=self.interpolate_minutes * 60,
            register_tolerance_milli=int(self.register_tolerance_percent * 10),
        )


class MeterException(models.Model):
    """Readings that a person should look at. While a blocking one is open, the span is not billed."""

    class Kind(models.TextChoices):
        GAP = validation.Kind.GAP.value, "Gap"
        DUPLICATE = validation.Kind.DUPLICATE.value, "Delivered twice with other values"
        OVERLAP = validation.Kind.OVERLAP.value, "Overlap"
        HIGH = validation.Kind.HIGH.value, "More power than can be"
        NEGATIVE = validation.Kind.NEGATIVE.value, "Negative without export"
        SPIKE = validation.Kind.SPIKE.value, "Jump between intervals"
        DECIMAL = validation.Kind.DECIMAL.value, "Decimal point moved"
        FROZEN = validation.Kind.FROZEN.value, "Frozen value"
        CLOCK = validation.Kind.CLOCK.value, "Clock drift"
        REGISTER = validation.Kind.REGISTER.value, "Register and intervals differ"
        LOWER_READ = validation.Kind.LOWER_READ.value, "Lower read that is no rollover"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted as it is"
        ESTIMATED = "estimated", "Estimated"
        EDITED = "edited", "Edited"
        SETTLED = "settled", "Settled by later readings"

    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="meter_exceptions")
    service_point = models.ForeignKey(
        customers_models.ServicePoint, on_delete=models.PROTECT, null=True, blank=True, related_name="meter_exceptions"
    )
    channel = models.ForeignKey(
        channels.Channel, on_delete=models.PROTECT, null=True, blank=True, related_name="exceptions"
    )
    register_read = models.ForeignKey(
        registers.RegisterRead, on_delete=models.PROTECT, null=True, blank=True, related_name="exceptions"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    is_blocking = models.BooleanField(help_text="The span is not billed while this is open.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    batch = models.ForeignKey(channels.ImportBatch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    found_at = models.DateTimeField()
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service_point", "channel", "register_read", "kind", "starts_at", "ends_at"],
                name="meter_exception_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="meter_exception_is_forward"),
            models.CheckConstraint(
                condition=~Q(state__in=["accepted", "estimated", "edited"])
                | Q(decided_by__isnull=False, decided_at__isnull=False) & ~Q(reason=""),
                name="meter_exception_is_decided_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["utility", "state", "-found_at"], name="meter_exception_queue"),
            models.Index(fields=["service_point", "starts_at"], name="meter_exception_by_point"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.service_point or self.channel_id}, {self.starts_at}"
