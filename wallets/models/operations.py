"""Operations and their history."""

import uuid

from django.db import models
from django.db.models import Q

from customers import models as customer_models
from openvpp.core import fields
from relayer.domain import receipts
from wallets.domain import outcome
from wallets.models import accounts, grants


class Operation(models.Model):
    """A wish that waits on the chain, as the person who made it follows it."""

    class Kind(models.TextChoices):
        BILL_PAYMENT = "billing.payment", "Bill payment"
        PROGRAM_PAYOUT = "programs.payout", "Program payout"
        REVOKE_SESSION = "wallets.revoke_session", "Session key removal"
        ANNOUNCE_EXIT = "wallets.announce_exit", "Exit announced"
        CANCEL_EXIT = "wallets.cancel_exit", "Exit called off"
        EXIT = "wallets.exit", "Exit from custody"
        ANNOUNCE_OWNER = "wallets.announce_owner", "New owner key announced"
        CHANGE_OWNER = "wallets.change_owner", "New owner key"
        APPOINT_GUARDIAN = "wallets.appoint_guardian", "Guardian appointed"
        SCHEDULE_RECOVERY = "wallets.schedule_recovery", "Recovery announced"
        CANCEL_RECOVERY = "wallets.cancel_recovery", "Recovery called off"
        RECOVER = "wallets.recover", "Recovery of a wallet"
        SEND_BALANCE = "wallets.send_balance", "Balance of a wallet that closes"

    class State(models.TextChoices):
        RESERVED = "reserved", "Reserved"
        AWAITING_SIGNATURE = "awaiting_signature", "Waits for the phone's signature"
        QUEUED = "queued", "Queued"
        SUBMITTED = "submitted", "Sent to the chain"
        MINED = "mined", "In a block"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(accounts.Wallet, on_delete=models.PROTECT, related_name="operations")
    grant = models.ForeignKey(grants.SessionKeyGrant, on_delete=models.PROTECT, null=True, related_name="operations")
    quote = models.OneToOneField("relayer.FeeQuote", on_delete=models.PROTECT, null=True, related_name="+")
    user_operation = models.OneToOneField(
        "relayer.UserOperation", on_delete=models.PROTECT, null=True, related_name="operation"
    )
    kind = models.CharField(max_length=32, choices=Kind)
    reference = fields.ReferenceField(unique=True, help_text="Random; names the wish on the chain.")
    intent = models.JSONField(help_text="What is to happen, decoded; what is signed says exactly this.")
    spend_units = fields.Uint256Field(default=0, help_text="Counted against the grant, fee in the same token included.")
    spend_period_started_at = models.DateTimeField(null=True, help_text="The grant's period that it was counted in.")
    state = models.CharField(max_length=20, choices=State, default=State.RESERVED)
    failure = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="How often it was tried to send.")
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    utility_path = "wallet__utility"
    user_path = "wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="operation_reserved", condition=Q(state="reserved")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"],
                condition=Q(state__in=["queued", "submitted", "mined"]) & ~Q(kind="wallets.revoke_session"),
                name="operation_in_flight_once_per_wallet",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"

    def ended(self, *, succeeded: bool, reason: str, receipt: receipts.Receipt | None) -> outcome.Outcome:
        """Return how it ended, as the app that asked for it is told."""
        return outcome.Outcome(
            operation_id=self.pk,
            kind=self.kind,
            reference=self.reference,
            intent=self.intent,
            succeeded=succeeded,
            reason=reason,
            receipt=receipt,
        )


class SignatureRequest(models.Model):
    """An operation, sponsored and whole, that waits for the signature of a key which the customer's phone keeps."""

    operation = models.OneToOneField(
        Operation, on_delete=models.CASCADE, primary_key=True, related_name="signature_request"
    )
    user_operation = models.JSONField(help_text="The user operation, unsigned.")
    user_operation_hash = fields.HashField(help_text="What the phone signs.")
    sign_by = models.DateTimeField(db_index=True, help_text="Unsigned by then, the operation fails.")
    lands_by = models.DateTimeField(help_text="Until when the sponsor pays for it.")

    utility_path = "operation__wallet__utility"
    user_path = "operation__wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.user_operation_hash)


class OperationTransition(models.Model):
    """One step of an operation's history; append only."""

    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="history")
    state = models.CharField(max_length=20, choices=Operation.State)
    detail = models.CharField(max_length=500, blank=True)
    made_at = models.DateTimeField()

    utility_path = "operation__wallet__utility"
    user_path = "operation__wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.state} at {self.made_at}"
