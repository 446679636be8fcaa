"""Who pays for gas, up to how much, and each operation that was paid for."""

import uuid

from django.contrib.postgres import fields as postgres_fields
from django.db import models
from django.db.models import F, Q

from customers import models as customer_models
from openvpp.core import fields
from relayer.models import callers


class SponsorshipPolicy(models.Model):
    """What a utility, or one of its programs, pays for: which operations, and how much of them in each period.

    Two people change it together (`relayer.usecases.change_sponsorship`).
    """

    class Period(models.TextChoices):
        DAY = "day", "A day"
        MONTH = "month", "A month"
        WHOLE = "whole", "All of its time"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    program = models.UUIDField(null=True, help_text="The program that pays; without one the utility does.")
    wallet = fields.AddressField(null=True, help_text="The only wallet that it pays for.")
    method = models.CharField(
        max_length=53, blank=True, help_text="All that it pays for: bill_payment, a selector, or address:selector."
    )
    period = models.CharField(max_length=10, choices=Period)
    is_local = models.BooleanField(default=False, help_text="Days and months are those of the utility's zone, not UTC.")
    is_each = models.BooleanField(default=False, help_text="Each wallet has the limits for itself.")
    limit_wei = fields.Uint256Field(null=True)
    limit_count = models.PositiveIntegerField(null=True)
    is_enabled = models.BooleanField(default=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "sponsorship policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")), name="sponsorship_is_forward"
            ),
            models.CheckConstraint(
                condition=Q(limit_wei__isnull=False) | Q(limit_count__isnull=False), name="sponsorship_is_limited"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ProgramWallet(models.Model):
    """A wallet whose owner takes part in a program that pays for gas; kept up to date from above."""

    program = models.UUIDField()
    wallet = fields.AddressField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["program", "wallet"], name="program_wallet_once")]

    def __str__(self) -> str:
        return f"{self.wallet} in {self.program}"


class GasBudget(models.Model):
    """One period of a policy, for everybody or for one wallet: what is reserved, and what was spent for good.

    The limits stand in the row, so that the database itself refuses what would pass them.
    """

    policy = models.ForeignKey(SponsorshipPolicy, on_delete=models.PROTECT, related_name="budgets")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, help_text="When the next period begins, if one does.")
    wallet = fields.AddressField(help_text="The zero address where all wallets share it.")
    limit_wei = fields.Uint256Field(null=True)
    limit_count = models.PositiveIntegerField(null=True)
    reserved_wei = fields.Uint256Field(default=0)
    reserved_count = models.PositiveIntegerField(default=0)
    settled_wei = fields.Uint256Field(default=0)
    settled_count = models.PositiveIntegerField(default=0)
    told_percent = models.PositiveSmallIntegerField(default=0, help_text="Up to which mark staff were told.")

    utility_path = "policy__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["policy", "starts_at", "wallet"], name="gas_budget_once_per_period"),
            models.CheckConstraint(
                condition=Q(limit_wei__isnull=True) | Q(limit_wei__gte=F("reserved_wei") + F("settled_wei")),
                name="gas_budget_within_wei",
            ),
            models.CheckConstraint(
                condition=Q(limit_count__isnull=True) | Q(limit_count__gte=F("reserved_count") + F("settled_count")),
                name="gas_budget_within_count",
            ),
            models.CheckConstraint(
                condition=Q(reserved_wei__gte=0, settled_wei__gte=0), name="gas_budget_is_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy}, from {self.starts_at:%Y-%m-%d}"


class Sponsorship(models.Model):
    """One operation that is paid for: who pays, why, what is reserved for it, and what it cost in the end."""

    class State(models.TextChoices):
        RESERVED = "reserved", "Reserved"
        SETTLED = "settled", "Settled by its receipt"
        RELEASED = "released", "Released, it can never land"

    class Payer(models.TextChoices):
        PROGRAM = "program", "A program"
        UTILITY = "utility", "The utility"
        CUSTOMER = "customer", "The customer, in a token"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    chain_id = models.PositiveBigIntegerField()
    payer = models.CharField(max_length=10, choices=Payer)
    program = models.UUIDField(null=True)
    reason = models.CharField(max_length=200, help_text="Why this party pays.")
    api_key = models.ForeignKey(callers.ApiKey, on_delete=models.PROTECT, null=True, related_name="+")
    sender = fields.AddressField(help_text="The wallet.")
    user_operation_hash = fields.HashField(null=True, unique=True, help_text="The only operation it can pay for.")
    budgets = postgres_fields.ArrayField(models.BigIntegerField(), help_text="Ids of the gas budgets it counts in.")
    reserved_wei = fields.Uint256Field(help_text="Most that it can cost.")
    cost_wei = fields.Uint256Field(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.RESERVED)
    valid_until = models.DateTimeField(help_text="No block after this instant can carry it.")
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["chain_id", "valid_until"], name="sponsorship_reserved", condition=Q(state="reserved")
            ),
            models.Index(fields=["utility", "made_at"], name="sponsorship_of_utility"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="settled") | Q(cost_wei__isnull=False, cost_wei__lte=F("reserved_wei")),
                name="sponsorship_costs_what_was_reserved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reserved_wei} wei ({self.state})"


class SponsorshipCursor(models.Model):
    """Up to which final block the chain was searched for operations that were paid for."""

    chain_id = models.PositiveBigIntegerField(primary_key=True)
    block_number = models.PositiveBigIntegerField()
    block_at = models.DateTimeField(help_text="The block's own time: what ends before it can never land.")

    def __str__(self) -> str:
        return f"Chain {self.chain_id}: block {self.block_number}"
