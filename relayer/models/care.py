"""What staff did to the relayer, the utilities it takes nothing from for now, and what it has counted."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from customers import models as customer_models
from openvpp.core import fields
from relayer.models import bundles, operations


class UtilityPause(models.Model):
    """A utility whose new operations are refused; what is under way ends."""

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    paused_at = models.DateTimeField()
    resumed_at = models.DateTimeField(null=True)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["utility"], condition=Q(resumed_at__isnull=True), name="utility_paused_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.utility}: {self.reason}"


class StaffAction(models.Model):
    """What somebody of the staff did, to what, and why; append only."""

    class Kind(models.TextChoices):
        RETRY = "retry", "Operation tried at once"
        DROP = "drop", "Operation dropped"
        PAUSE = "pause", "Utility paused"
        RESUME = "resume", "Utility resumed"
        DRAIN = "drain", "Key drained"
        BRING_BACK = "bring_back", "Key brought back"

    kind = models.CharField(max_length=10, choices=Kind)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, null=True, related_name="+")
    user_operation = models.ForeignKey(
        operations.UserOperation, on_delete=models.PROTECT, null=True, related_name="staff_actions"
    )
    relayer_key = models.ForeignKey(
        bundles.RelayerKey, on_delete=models.PROTECT, null=True, related_name="staff_actions"
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    made_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["retry", "drop"], user_operation__isnull=False, utility__isnull=False)
                | Q(kind__in=["pause", "resume"], utility__isnull=False)
                | Q(kind__in=["drain", "bring_back"], relayer_key__isnull=False),
                name="staff_action_names_its_object",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="staff_action_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reason}"


class Counter(models.Model):
    """How often something has happened since the first day; it only grows."""

    name = models.CharField(max_length=60)
    label = models.CharField(max_length=200, blank=True)
    value = models.DecimalField(max_digits=40, decimal_places=6, default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "label"], name="counter_once_per_label")]

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.value}"


class RecentCount(models.Model):
    """How often something happened in one minute; kept for a day."""

    name = models.CharField(max_length=60)
    label = models.CharField(max_length=200, blank=True)
    minute = models.DateTimeField()
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "minute", "label"], name="recent_count_once_per_minute")]

    def __str__(self) -> str:
        return f"{self.name} {self.label} at {self.minute}: {self.count}"


class Balance(models.Model):
    """What the relayer lives on, as it was last read of the chain."""

    class Kind(models.TextChoices):
        KEY = "key", "Coin of a relayer key"
        DEPOSIT = "deposit", "Deposit at the EntryPoint"
        BUDGET = "budget", "Left of a utility's budget"

    chain_id = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=60, help_text="Address of the key, name of the paymaster, slug of the utility.")
    wei = fields.Uint256Field()
    limit_wei = fields.Uint256Field(null=True, help_text="Most of it that may be spent in a UTC day.")
    spent_wei = fields.Uint256Field(null=True, help_text="Of that, spent today.")
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chain_id", "kind", "name"], name="balance_once_per_name")]

    def __str__(self) -> str:
        return f"{self.name}: {self.wei} wei"
