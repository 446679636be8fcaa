"""Registers: dials that count up, and what was read from them."""

from django.db import models
from django.db.models import Q

from customers import models as customers_models
from meters.models import channels


class Register(models.Model):
    """A dial of a meter that counts up. What it counts between two reads is used then, times the meter's multiplier.

    After `dials` nines it begins at nought again.
    """

    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="registers")
    service_point = models.ForeignKey(customers_models.ServicePoint, on_delete=models.PROTECT, related_name="registers")
    serial = models.CharField(max_length=64, help_text="Of the meter.")
    flow = models.CharField(max_length=10, choices=channels.Channel.Flow, default=channels.Channel.Flow.DELIVERED)
    unit = models.CharField(max_length=5, choices=channels.Channel.Unit, default=channels.Channel.Unit.WATT_HOUR)
    dials = models.PositiveSmallIntegerField(default=5, help_text="Digits before the point, in thousands of the unit.")
    most_a_day_milli_units = models.BigIntegerField(
        null=True, blank=True, help_text="More than this a day is no rollover; empty: a quarter of the dial in all."
    )

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service_point", "serial", "flow", "unit"], name="register_once"),
            models.CheckConstraint(condition=Q(dials__gte=1, dials__lte=12), name="register_dials_are_possible"),
        ]

    def __str__(self) -> str:
        return f"{self.serial} ({self.flow})"


class RegisterRead(models.Model):
    """What a dial stood at. Kept for ever as it came; a refused one is never used, and says why."""

    class State(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        REFUSED = "refused", "Refused"

    register = models.ForeignKey(Register, on_delete=models.PROTECT, related_name="reads")
    read_at = models.DateTimeField()
    milli_units = models.BigIntegerField(help_text="Thousandths of the unit, as the dial says, not multiplied.")
    quality = models.SmallIntegerField()
    state = models.CharField(max_length=10, choices=State)
    code = models.CharField(max_length=64, blank=True, help_text="Why it was refused.")
    batch = models.ForeignKey(channels.ImportBatch, on_delete=models.PROTECT, related_name="+")

    utility_path = "register__utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["register", "read_at"], condition=Q(state="accepted"), name="register_read_once"
            ),
            models.CheckConstraint(condition=Q(milli_units__gte=0), name="register_read_is_no_less_than_nought"),
        ]
        indexes = [models.Index(fields=["register", "-read_at"], name="register_read_by_time")]

    def __str__(self) -> str:
        return f"{self.register} at {self.read_at}"
