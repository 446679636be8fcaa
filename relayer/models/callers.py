"""What applications call the bundler with, what they have used of it, and whom they name."""

from django.db import models

from customers import models as customer_models
from openvpp.core import fields


class ApiKey(models.Model):
    """What one application of a utility calls the bundler with. Its secret is shown once; here stands its hash."""

    class Scope(models.TextChoices):
        SEND = "operations:send", "Send signed operations"
        READ = "operations:read", "Look operations up, estimate"
        SPONSOR = "sponsor", "Ask for sponsorship"

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    application = models.CharField(max_length=100, help_text="Who calls with it.")
    identifier = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.BinaryField(editable=False, help_text="SHA-256 of the secret, which is 32 random bytes.")
    scopes = models.JSONField(help_text='Of "operations:send", "operations:read", "sponsor".')
    requests_per_minute = models.PositiveIntegerField(default=600)
    operations_per_day = models.PositiveIntegerField(default=10_000, help_text="Sent, by UTC day.")
    sponsored_per_day = models.PositiveIntegerField(default=1_000, help_text="Sponsorships signed, by UTC day.")
    created_at = models.DateTimeField(editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.application} ({self.identifier})"


class ApiKeyUsage(models.Model):
    """How much of a quota of a key is used up in one window."""

    class Quota(models.TextChoices):
        REQUESTS = "requests", "Requests"
        OPERATIONS = "operations", "Operations"
        SPONSORED = "sponsored", "Sponsorships"

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="usage")
    quota = models.CharField(max_length=10, choices=Quota)
    starts_at = models.DateTimeField()
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "quota", "starts_at"], name="usage_once_per_window"),
        ]


class Reputation(models.Model):
    """How often operations that name an entity came, and how often they were included (ERC-7562); fades by the hour."""

    chain_id = models.PositiveBigIntegerField()
    entity = fields.AddressField(help_text="A paymaster or factory that is not ours.")
    seen = models.PositiveIntegerField(default=0)
    included = models.PositiveIntegerField(default=0)
    counted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chain_id", "entity"], name="reputation_once_per_entity")]

    def __str__(self) -> str:
        return f"{self.entity}: {self.included} of {self.seen}"
