"""User operations, each step of theirs, and what the chain says of them."""

from django.db import models
from django.db.models import Q

from contracts.bindings import delegations, user_operations, words
from customers import models as customer_models
from openvpp.core import fields
from relayer.models import bundles, callers, quotes


class UserOperation(models.Model):
    """An ERC-4337 operation as the EntryPoint knows it, by its hash."""

    class Validation(models.TextChoices):
        OURS = "ours", "Signed here, for an account of ours"
        FAST = "fast", "An account of ours, known by its code"
        TRACED = "traced", "Rules of ERC-7562 looked for in a trace"
        SIMULATED = "simulated", "Simulated, without a trace"

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        BUNDLED = "bundled", "In a bundle"
        MINED = "mined", "Mined"
        SUCCEEDED = "succeeded", "Final, succeeded"
        FAILED = "failed", "Final, failed"

    hash = fields.HashField(primary_key=True)
    chain_id = models.PositiveBigIntegerField()
    entry_point = fields.AddressField()
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+", db_index=False)
    api_key = models.ForeignKey(callers.ApiKey, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    validation = models.CharField(max_length=10, choices=Validation, default=Validation.OURS)
    marks = models.JSONField(null=True, help_text="What was read of its contracts' code; read again for the bundle.")
    quote = models.OneToOneField(quotes.FeeQuote, on_delete=models.PROTECT, null=True, related_name="user_operation")
    sender = fields.AddressField(db_index=True)
    nonce = fields.Uint256Field()
    init_code = models.BinaryField()
    delegation = models.BinaryField(null=True, help_text="Of EIP-7702, as `delegations.Authorization` packs it.")
    call_data = models.BinaryField()
    verification_gas_limit = models.PositiveBigIntegerField()
    call_gas_limit = models.PositiveBigIntegerField()
    pre_verification_gas = models.PositiveBigIntegerField()
    max_fee_per_gas_wei = fields.Uint256Field()
    max_priority_fee_per_gas_wei = fields.Uint256Field()
    paymaster_and_data = models.BinaryField()
    signature = models.BinaryField()
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    bundle = models.ForeignKey(bundles.Bundle, on_delete=models.PROTECT, null=True, related_name="user_operations")
    failure = models.CharField(max_length=500, blank=True)
    gas_cost_wei = fields.Uint256Field(null=True)
    broadcast_at = models.DateTimeField(
        null=True, help_text="When it may first have been seen by others; from then on only the chain ends it."
    )
    attempts = models.PositiveIntegerField(default=0, help_text="How often a relay has taken it up.")
    leased_by = models.CharField(max_length=64, blank=True)
    leased_until = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(help_text="After this instant the chain refuses it.")
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["chain_id", "created_at"], name="user_operation_queue", condition=Q(state="queued")),
            models.Index(
                fields=["chain_id", "sender"],
                name="user_operation_waiting",
                condition=Q(state__in=["queued", "bundled"]),
            ),
            # The staff's list, newest first: of everybody, of a utility, of an application, and what failed.
            models.Index(fields=["created_at", "hash"], name="user_operation_newest"),
            models.Index(fields=["utility", "created_at", "hash"], name="user_operation_of_utility"),
            models.Index(
                fields=["api_key", "created_at", "hash"],
                name="user_operation_of_application",
                condition=Q(api_key__isnull=False),
            ),
            models.Index(fields=["created_at", "hash"], name="user_operation_failed", condition=Q(state="failed")),
        ]

    def __str__(self) -> str:
        return str(self.hash)

    def to_authorization(self) -> delegations.Authorization | None:
        """Return what says whose code the sender runs, if the operation brought that with it."""
        return None if self.delegation is None else delegations.unpack(bytes(self.delegation))

    def to_binding(self) -> user_operations.UserOperation:
        """Return the operation as the EntryPoint takes it."""
        return user_operations.UserOperation(
            sender=words.parse_address(str(self.sender)),
            nonce=int(self.nonce),
            init_code=bytes(self.init_code),
            call_data=bytes(self.call_data),
            verification_gas_limit=self.verification_gas_limit,
            call_gas_limit=self.call_gas_limit,
            pre_verification_gas=self.pre_verification_gas,
            max_priority_fee_per_gas=int(self.max_priority_fee_per_gas_wei),
            max_fee_per_gas=int(self.max_fee_per_gas_wei),
            paymaster_and_data=bytes(self.paymaster_and_data),
            signature=bytes(self.signature),
        )


class UserOperationTransition(models.Model):
    """One step of an operation's history; append only."""

    user_operation = models.ForeignKey(UserOperation, on_delete=models.PROTECT, related_name="history")
    state = models.CharField(max_length=10, choices=UserOperation.State)
    detail = models.CharField(max_length=500, blank=True)
    bundle = models.ForeignKey(bundles.Bundle, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.state} at {self.made_at}"


class UserOperationReceipt(models.Model):
    """What the chain says of an operation; replaced when a reorganisation puts it into another block."""

    user_operation = models.OneToOneField(UserOperation, on_delete=models.PROTECT, related_name="receipt")
    has_succeeded = models.BooleanField()
    reason = models.CharField(max_length=500, blank=True)
    transaction_hash = fields.HashField()
    block_number = models.PositiveBigIntegerField()
    block_hash = fields.HashField()
    gas_used = models.PositiveBigIntegerField()
    gas_cost_wei = fields.Uint256Field()
    logs = models.JSONField(help_text="The logs of this operation alone, as the node gave them.")

    def __str__(self) -> str:
        return f"{self.transaction_hash}"
