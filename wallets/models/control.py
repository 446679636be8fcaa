"""Who is to control an account: exits from custody, and other owner keys."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from customers import models as customer_models
from openvpp.core import fields
from wallets.models import accounts


class CustodyExit(models.Model):
    """A customer's wish to own their account with a key that they hold; announced 48 hours before on the chain."""

    class State(models.TextChoices):
        APPOINTING = "appointing", "Waits until the guardian has been one for 48 hours"
        ASKED = "asked", "Asked for, not yet on the chain"
        ANNOUNCED = "announced", "Announced"
        CANCELLING = "cancelling", "Being called off"
        CANCELLED = "cancelled", "Called off"
        LEFT = "left", "Left custody"
        FAILED = "failed", "Failed"

    OPEN_STATES = (State.APPOINTING, State.ASKED, State.ANNOUNCED, State.CANCELLING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(accounts.Wallet, on_delete=models.PROTECT, related_name="exits")
    new_owner = fields.AddressField(help_text="Owner afterwards: an address, or the name of a passkey.")
    passkey = models.JSONField(null=True, blank=True, help_text="Coordinates `x` and `y` of a P-256 key, if it is one.")
    keeps_guardian = models.BooleanField(
        default=False, help_text="Whether the utility stays guardian: it may propose another owner, and stop sessions."
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    change = models.OneToOneField(
        "controls.ChangeRequest",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="By which two people of the utility asked for it.",
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
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"],
                condition=Q(state__in=["appointing", "asked", "announced", "cancelling"]),
                name="exit_open_once_per_wallet",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["announced", "left"]) | Q(ready_at__isnull=False),
                name="exit_announced_with_its_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.new_owner}"


class OwnerRotation(models.Model):
    """Another sealed key becomes the owner of an account, as two people decided; announced 48 hours before."""

    class State(models.TextChoices):
        DECIDED = "decided", "Decided, not yet on the chain"
        ANNOUNCED = "announced", "Announced"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    OPEN_STATES = (State.DECIDED, State.ANNOUNCED)

    wallet = models.ForeignKey(accounts.Wallet, on_delete=models.PROTECT, related_name="rotations")
    change = models.OneToOneField(
        "controls.ChangeRequest", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    new_key = models.OneToOneField("custody.SealedKey", on_delete=models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.DECIDED)
    ready_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "wallet__utility"
    user_path = "wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"], condition=Q(state__in=["decided", "announced"]), name="rotation_open_once_per_wallet"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.wallet_id}"


class TreasuryMove(models.Model):
    """A wallet follows its utility's new treasury: its owner key is sealed for it, and what may pay the old one ends.

    One row a wallet and a change; what is not done is tried again.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DONE = "done", "Done"
        FAILED = "failed", "Given up"

    wallet = models.ForeignKey(accounts.Wallet, on_delete=models.PROTECT, related_name="treasury_moves")
    change = models.ForeignKey("controls.ChangeRequest", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    failure = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "wallet__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["change"], name="treasury_move_waiting", condition=Q(state="waiting"))]
        constraints = [
            models.UniqueConstraint(fields=["wallet", "change"], name="treasury_move_once_per_wallet"),
        ]

    def __str__(self) -> str:
        return f"{self.wallet_id}: {self.get_state_display()}"
