"""Wallets that their customers lost the key of."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from customers import models as customer_models
from openvpp.core import fields
from wallets.models import accounts


class WalletRecovery(models.Model):
    """A customer's wish to own their account with another key; two people decide, the chain waits 48 hours."""

    class State(models.TextChoices):
        ASKED = "asked", "Asked for, not yet signed by the new key"
        PROVEN = "proven", "Signed by the new key, waits for two people"
        DECIDED = "decided", "Decided, not yet on the chain"
        ANNOUNCED = "announced", "Announced"
        CANCELLING = "cancelling", "Being called off"
        CANCELLED = "cancelled", "Called off"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    UNDECIDED_STATES = (State.ASKED, State.PROVEN)
    OPEN_STATES = (*UNDECIDED_STATES, State.DECIDED, State.ANNOUNCED, State.CANCELLING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(accounts.Wallet, on_delete=models.PROTECT, related_name="recoveries")
    new_owner = fields.AddressField(help_text="Owner afterwards: an address, or the name of a P-256 key.")
    passkey = models.JSONField(null=True, blank=True, help_text="Coordinates `x` and `y` of a P-256 key, if it is one.")
    previous_owner = fields.AddressField(null=True, blank=True, help_text="Owner when it was announced.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    change = models.OneToOneField(
        "controls.ChangeRequest",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="By which two people decided it.",
    )
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    ready_at = models.DateTimeField(null=True, blank=True, help_text="From here on anybody may carry it out.")
    failure = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "wallet__utility"
    user_path = "wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "wallet recoveries"
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"],
                condition=Q(state__in=["asked", "proven", "decided", "announced", "cancelling"]),
                name="recovery_open_once_per_wallet",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["announced", "cancelling", "done"])
                | Q(ready_at__isnull=False, previous_owner__isnull=False, change__isnull=False),
                name="recovery_announced_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.new_owner}"
