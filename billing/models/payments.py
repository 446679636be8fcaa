"""Money from wallets to a utility's treasury: what it pays for, and what proves it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.models.bills import Bill
from customers import models as customer_models
from openvpp.core import fields


class Payment(models.Model):
    """Money from a wallet to the utility's treasury; what it pays for is in its allocations."""

    class State(models.TextChoices):
        PENDING = "pending", "On its way"
        PAID = "paid", "Paid"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="payments")
    account = models.ForeignKey("customers.CustomerAccount", on_delete=models.PROTECT, related_name="payments")
    wallet = models.ForeignKey("wallets.Wallet", on_delete=models.PROTECT, related_name="payments")
    operation = models.OneToOneField("wallets.Operation", on_delete=models.PROTECT, related_name="payment")
    quote = models.OneToOneField("relayer.FeeQuote", on_delete=models.PROTECT, related_name="+")
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    treasury_address = fields.AddressField(help_text="Where it goes: the utility's treasury when it was made.")
    token = models.ForeignKey("customers.AcceptedToken", on_delete=models.PROTECT, related_name="+")
    amount_cents = models.BigIntegerField()
    amount_units = fields.Uint256Field()
    fee_mode = models.CharField(max_length=10, choices=customer_models.FeeMode)
    fee_token = models.ForeignKey("customers.AcceptedToken", on_delete=models.PROTECT, null=True, related_name="+")
    fee_units = fields.Uint256Field()
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    failure = models.CharField(max_length=500, blank=True)
    transaction_hash = fields.HashField(null=True, blank=True)
    block_number = models.PositiveBigIntegerField(null=True, blank=True)
    gas_cost_wei = fields.Uint256Field(null=True, blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    utility_path = "utility"
    user_path = "account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["account", "-created_at"], name="payment_by_account")]
        constraints = [
            models.CheckConstraint(condition=Q(amount_cents__gt=0, amount_units__gt=0), name="payment_is_of_something"),
            models.CheckConstraint(
                condition=Q(state="pending", settled_at__isnull=True)
                | (~Q(state="pending") & Q(settled_at__isnull=False)),
                name="payment_settled_has_instant",
            ),
            models.CheckConstraint(
                condition=~Q(state="paid") | Q(transaction_hash__isnull=False, block_number__isnull=False),
                name="payment_paid_has_transaction",
            ),
            models.CheckConstraint(
                condition=Q(fee_mode="utility", fee_units=0, fee_token__isnull=True)
                | (~Q(fee_mode="utility") & Q(fee_token__isnull=False)),
                name="payment_fee_fits_mode",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def holds(self, *, allocations: "list[PaymentAllocation]", transfers: "list[ProvenTransfer]") -> None:
        """Let a payment that was made a moment ago be shown without asking the database what was just put there."""
        self._prefetched_objects_cache = {"allocations": allocations, "transfers": transfers}


class PaymentAllocation(models.Model):
    """What of a payment pays which bill. While it is held, no other payment may hold the bill."""

    class State(models.TextChoices):
        HELD = "held", "Held for a payment on its way"
        APPLIED = "applied", "Applied"
        RELEASED = "released", "Released, the payment failed"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="allocations")
    bill = models.ForeignKey(Bill, on_delete=models.PROTECT, related_name="allocations")
    amount_cents = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.HELD)

    utility_path = "payment__utility"
    user_path = "bill__account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["payment", "bill"], name="allocation_once_per_bill"),
            models.UniqueConstraint(fields=["bill"], condition=Q(state="held"), name="bill_payment_pending_once"),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="allocation_is_of_something"),
        ]

    def __str__(self) -> str:
        return f"{self.amount_cents} to {self.bill_id}"


class ProvenTransfer(models.Model):
    """A token's own `Transfer` log that was counted, once, for a payment."""

    chain_id = models.PositiveBigIntegerField()
    transaction_hash = fields.HashField()
    log_index = models.PositiveIntegerField()
    block_number = models.PositiveBigIntegerField()
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="transfers")
    token = fields.AddressField()
    sender = fields.AddressField()
    recipient = fields.AddressField()
    units = fields.Uint256Field()

    utility_path = "payment__utility"
    user_path = "payment__account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain_id", "transaction_hash", "log_index"], name="transfer_counted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.transaction_hash}:{self.log_index}"
