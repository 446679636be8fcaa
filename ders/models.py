"""Devices of customers, the providers that reach them, what was asked of them and what providers told us."""

import uuid

from django.core import validators
from django.db import models
from django.db.models import F, Q

from customers import models as customer_models

SLUG = validators.RegexValidator(r"^[a-z0-9][a-z0-9-]{1,62}$", "Use 2 to 63 lower-case letters, digits and hyphens.")


class Provider(models.Model):
    """A company's cloud that speaks for devices; one row for each utility that has a contract with it.

    The secret that signs both directions is not here: it is derived from the setting PROVIDER_SECRET, the slug and
    `secret_version` (ders.adapters.secrets), so that a dump of the database holds none.
    """

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="providers")
    slug = models.CharField(max_length=63, unique=True, validators=[SLUG])
    name = models.CharField(max_length=200)
    base_url = models.URLField(max_length=300, help_text="Where its API answers.")
    secret_version = models.PositiveSmallIntegerField(default=1, help_text="Raise it to replace the shared secret.")
    is_active = models.BooleanField(default=True)

    utility_path = "utility"
    user_path = "utility__customers__user"
    objects = customer_models.TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """A battery, charger or thermostat of a customer, reached through a provider.

    Energy to the device counts as delivered (positive), energy from it as received: a battery that discharges has
    negative consumption.
    """

    class Kind(models.TextChoices):
        BATTERY = "battery", "Battery"
        CHARGER = "charger", "Charger"
        THERMOSTAT = "thermostat", "Thermostat"

    class State(models.TextChoices):
        CONNECTING = "connecting", "Connecting"
        CONNECTED = "connected", "Connected"
        REFUSED = "refused", "Refused by the provider"
        REMOVED = "removed", "Removed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey("customers.Customer", on_delete=models.PROTECT, related_name="devices")
    service_point = models.ForeignKey(
        "customers.ServicePoint", on_delete=models.PROTECT, null=True, blank=True, related_name="devices"
    )
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="devices")
    provider_device_id = models.CharField(max_length=100, help_text="What the provider calls it.")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=12, choices=Kind)
    power_kw = models.DecimalField(max_digits=9, decimal_places=3, help_text="Most it can reduce or discharge.")
    energy_kwh = models.DecimalField(
        max_digits=9, decimal_places=3, null=True, blank=True, help_text="Usable energy of a battery."
    )
    state = models.CharField(max_length=12, choices=State, default=State.CONNECTING)
    detail = models.CharField(max_length=300, blank=True, help_text="Why the provider refused it.")
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    utility_path = "customer__utility"
    user_path = "customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "provider_device_id"],
                condition=~Q(state="removed"),
                name="device_once_per_provider",
            ),
            models.CheckConstraint(condition=Q(power_kw__gt=0), name="device_power_is_positive"),
            models.CheckConstraint(
                condition=Q(energy_kwh__isnull=True) | Q(energy_kwh__gt=0), name="device_energy_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display()})"


class Command(models.Model):
    """What a device is asked to do on `[starts_at, ends_at)`. Its id makes the provider act on it once."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENT = "sent", "Sent"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="commands")
    key = models.CharField(max_length=100, unique=True, help_text="One command per wish of the app that asked.")
    power_kw = models.DecimalField(
        max_digits=9, decimal_places=3, help_text="By how much to lower its consumption, discharging included."
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Not worth sending from here on.")
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    detail = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    utility_path = "device__customer__utility"
    user_path = "device__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="command_window_is_forward"),
            models.CheckConstraint(condition=Q(power_kw__gt=0), name="command_power_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.device}: {self.power_kw} kW ({self.state})"


class WebhookEvent(models.Model):
    """An event that a provider told us; its id is used once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="webhook_events")
    event_id = models.CharField(max_length=100)
    kind = models.CharField(max_length=40)
    received_at = models.DateTimeField()

    utility_path = "provider__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "event_id"], name="webhook_event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
