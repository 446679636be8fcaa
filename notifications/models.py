"""What a person is told, in order: truth is the row, a socket is a hint."""

from django.conf import settings
from django.db import models

from customers import models as customer_models


class NoticeCounter(models.Model):
    """The last sequence number given to a person; locked while the next is taken."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+")
    last_sequence = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.last_sequence}"


class Notice(models.Model):
    """One thing told to one person. `sequence` counts from 1 without gaps for each person."""

    class Kind(models.TextChoices):
        BILL_ISSUED = "bill.issued", "Bill issued"
        PAYMENT_PENDING = "payment.pending", "Payment pending"
        PAYMENT_PAID = "payment.paid", "Payment made"
        PAYMENT_FAILED = "payment.failed", "Payment failed"
        ENROLLMENT_DECIDED = "enrollment.decided", "Enrollment decided"
        EVENT_SCHEDULED = "event.scheduled", "Event scheduled"
        PAYOUT_PAID = "payout.paid", "Payout made"
        GRANT_CREATED = "grant.created", "App connected"
        GRANT_REVOKED = "grant.revoked", "App disconnected"
        WALLET_FROZEN = "wallet.frozen", "Wallet frozen"
        WALLET_CONTROL = "wallet.control", "Who controls the wallet"
        ACCOUNT_CLOSING = "account.closing", "Account is closed"
        GAS = "gas.alarm", "Gas budgets and prices"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    sequence = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=32, choices=Kind)
    key = models.CharField(max_length=200, help_text="One notice per person and key: told once.")
    title = models.CharField(max_length=200)
    body = models.CharField(max_length=1000)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    utility_path = "utility"
    user_path = "user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "sequence"], name="notice_sequence_once"),
            models.UniqueConstraint(fields=["user", "key"], name="notice_told_once"),
        ]

    def __str__(self) -> str:
        return self.title
