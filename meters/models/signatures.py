"""Keys of devices that sign what they measure, and what they signed."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from customers import models as customers_models
from meters.domain import signed_readings
from meters.models import channels


class ReadingKey(models.Model):
    """The public key of the meter or device at a service point; its readings are believed if it signed them.

    Where `is_required`, readings for the point that no key signed are refused, whichever way they come.
    """

    class Algorithm(models.TextChoices):
        ED25519 = signed_readings.Algorithm.ED25519.value, "Ed25519"
        P256 = signed_readings.Algorithm.P256.value, "P-256"
        SECP256K1 = signed_readings.Algorithm.SECP256K1.value, "secp256k1"

    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="reading_keys")
    service_point = models.ForeignKey(
        customers_models.ServicePoint, on_delete=models.PROTECT, related_name="reading_keys"
    )
    device = models.CharField(max_length=100, help_text="Serial number of the meter or device that holds it.")
    algorithm = models.CharField(max_length=10, choices=Algorithm)
    public_key = models.BinaryField()
    fingerprint = models.CharField(max_length=64, help_text="What rows name the key by.")
    is_required = models.BooleanField(default=False, help_text="Refuse readings of this point that are not signed.")
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    registered_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Lost, stolen or replaced: no longer believed.")

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["utility", "fingerprint"], name="reading_key_once"),
        ]

    def __str__(self) -> str:
        return f"{self.device} ({self.get_algorithm_display()})"


class SignedReading(models.Model):
    """What a device signed and we stored: its bytes and its signature, for whoever wants to check them again."""

    key = models.ForeignKey(ReadingKey, on_delete=models.PROTECT, related_name="readings")
    batch = models.ForeignKey(channels.ImportBatch, on_delete=models.PROTECT, related_name="+")
    counter = models.BigIntegerField()
    flow = models.CharField(max_length=10)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    message = models.BinaryField(help_text="The bytes that were signed (meters.domain.signed_readings).")
    signature = models.BinaryField(max_length=signed_readings.SIGNATURE_BYTES)
    stored_at = models.DateTimeField()

    utility_path = "key__utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "counter"], name="signed_reading_counter_once"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="signed_reading_is_forward"),
        ]
        indexes = [models.Index(fields=["key", "flow", "starts_at"], name="signed_reading_by_time")]

    def __str__(self) -> str:
        return f"{self.key}: {self.starts_at}, counter {self.counter}"
