"""Rows of the bundler: quotes, user operations, the transactions that carry them, and the keys that send them."""

import uuid

from django.db import models
from django.db.models import F, Q

from contracts.bindings import user_operations, words
from customers import models as customer_models
from openvpp.core import fields


class FeeQuote(models.Model):
    """A network fee, locked for a short time for one wallet and one wish."""

    class Mode(models.TextChoices):
        OVPP = "ovpp", "Customer, in $OVPP"
        STABLECOIN = "stablecoin", "Customer, in the stablecoin"
        UTILITY = "utility", "Utility"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chain_id = models.PositiveBigIntegerField()
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    sender = fields.AddressField(help_text="The wallet.")
    intent = models.JSONField(help_text="What it was quoted for; the operation must be exactly this.")
    mode = models.CharField(max_length=10, choices=Mode)
    fee_token = fields.AddressField(null=True, help_text="Null when the utility absorbs the fee.")
    fee_units = fields.Uint256Field()
    gas_limit = models.PositiveBigIntegerField()
    max_fee_per_gas_wei = fields.Uint256Field()
    max_priority_fee_per_gas_wei = fields.Uint256Field()
    gas_cost_wei = fields.Uint256Field(help_text="Most that the operation may cost the relayer.")
    reason = models.CharField(max_length=200, help_text="Why this party pays.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="quote_period_is_forward"),
            models.CheckConstraint(
                condition=Q(mode="utility", fee_units=0, fee_token__isnull=True)
                | (~Q(mode="utility") & Q(fee_token__isnull=False)),
                name="quote_token_fits_mode",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.fee_units} ({self.mode})"


class RelayerKey(models.Model):
    """A key that sends bundles; leased to one relay at a time."""

    key = models.OneToOneField("custody.SealedKey", on_delete=models.PROTECT, related_name="+")
    chain_id = models.PositiveBigIntegerField()
    address = fields.AddressField(unique=True)
    leased_by = models.CharField(max_length=64, blank=True)
    leased_until = models.DateTimeField(null=True)
    is_enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return str(self.address)


class Bundle(models.Model):
    """Operations that go to the chain together under one nonce of a relayer key, by whichever transaction lands.

    Without a relayer key it is a stranger's: somebody else's transaction has executed operations of ours.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Signed, not in a block"
        MINED = "mined", "In a block"
        FINAL = "final", "Final"
        LOST = "lost", "Its nonce went to another transaction"

    chain_id = models.PositiveBigIntegerField()
    relayer_key = models.ForeignKey(RelayerKey, on_delete=models.PROTECT, null=True, related_name="bundles")
    nonce = models.PositiveBigIntegerField(null=True)
    call_data = models.BinaryField(help_text="Of `handleOps`; every transaction of the bundle carries it.")
    gas_limit = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    nonce_passed_at_block = models.PositiveBigIntegerField(
        null=True, help_text="Head at which the nonce was seen used although none of our transactions was found."
    )
    transaction_hash = fields.HashField(null=True, help_text="The transaction that landed.")
    has_reverted = models.BooleanField(default=False, help_text="It landed and executed nothing.")
    block_number = models.PositiveBigIntegerField(null=True)
    block_hash = fields.HashField(null=True)
    gas_used = models.PositiveBigIntegerField(null=True)
    gas_price_wei = fields.Uint256Field(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["chain_id"], name="bundle_open", condition=Q(state__in=["pending", "mined"])),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["relayer_key", "nonce"],
                condition=Q(state__in=["pending", "mined"]),
                name="bundle_open_once_per_nonce",
            ),
            models.UniqueConstraint(
                fields=["chain_id", "transaction_hash"],
                condition=Q(relayer_key__isnull=True, state__in=["mined", "final"]),
                name="bundle_of_stranger_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "lost"])
                | Q(block_number__isnull=False, block_hash__isnull=False, transaction_hash__isnull=False),
                name="bundle_mined_has_block",
            ),
        ]

    def __str__(self) -> str:
        return f"Bundle {self.pk} ({self.state})"


class BundleTransaction(models.Model):
    """One signed form of a bundle; written before it is sent, so that it can be sent again. Dearer ones replace it."""

    hash = fields.HashField(primary_key=True)
    bundle = models.ForeignKey(Bundle, on_delete=models.PROTECT, related_name="transactions")
    raw = models.BinaryField(help_text="The signed transaction.")
    max_fee_per_gas_wei = fields.Uint256Field()
    max_priority_fee_per_gas_wei = fields.Uint256Field()
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, help_text="When a node last took it.")

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return str(self.hash)


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
    """How often operations that name an entity came, and how often they were included (ERC-7562); halves daily."""

    chain_id = models.PositiveBigIntegerField()
    entity = fields.AddressField(help_text="A paymaster or factory that is not ours.")
    seen = models.PositiveIntegerField(default=0)
    included = models.PositiveIntegerField(default=0)
    counted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chain_id", "entity"], name="reputation_once_per_entity")]

    def __str__(self) -> str:
        return f"{self.entity}: {self.included} of {self.seen}"


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
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+")
    validation = models.CharField(max_length=10, choices=Validation, default=Validation.OURS)
    marks = models.JSONField(null=True, help_text="What was read of its contracts' code; read again for the bundle.")
    quote = models.OneToOneField(FeeQuote, on_delete=models.PROTECT, null=True, related_name="user_operation")
    sender = fields.AddressField(db_index=True)
    nonce = fields.Uint256Field()
    init_code = models.BinaryField()
    call_data = models.BinaryField()
    verification_gas_limit = models.PositiveBigIntegerField()
    call_gas_limit = models.PositiveBigIntegerField()
    pre_verification_gas = models.PositiveBigIntegerField()
    max_fee_per_gas_wei = fields.Uint256Field()
    max_priority_fee_per_gas_wei = fields.Uint256Field()
    paymaster_and_data = models.BinaryField()
    signature = models.BinaryField()
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    bundle = models.ForeignKey(Bundle, on_delete=models.PROTECT, null=True, related_name="user_operations")
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
            models.Index(fields=["chain_id", "sender"], name="user_operation_bundled", condition=Q(state="bundled")),
        ]

    def __str__(self) -> str:
        return str(self.hash)

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


class TokenPrice(models.Model):
    """What a price source last said, and when it said it."""

    chain_id = models.PositiveBigIntegerField()
    token = fields.AddressField(help_text="Zero address for the native coin.")
    price_usd = models.DecimalField(max_digits=30, decimal_places=12, help_text="Of one whole token.")
    observed_at = models.DateTimeField()
    source = models.CharField(max_length=100)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain_id", "token"], name="price_once_per_token"),
            models.CheckConstraint(condition=Q(price_usd__gt=0), name="price_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.token}: {self.price_usd} USD"
