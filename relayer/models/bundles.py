"""Keys that send, bundles, and the signed transactions that carry them."""

from django.db import models
from django.db.models import Q

from openvpp.core import fields


class RelayerKey(models.Model):
    """A key that sends bundles; leased to one relay at a time."""

    key = models.OneToOneField("custody.SealedKey", on_delete=models.PROTECT, related_name="+")
    chain_id = models.PositiveBigIntegerField()
    address = fields.AddressField(unique=True)
    leased_by = models.CharField(max_length=64, blank=True)
    leased_until = models.DateTimeField(null=True)
    is_enabled = models.BooleanField(default=True)
    draining_since = models.DateTimeField(
        null=True, help_text="From then on it sends no new bundle; with its last open one it is disabled."
    )

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
    delegations = models.BinaryField(null=True, help_text="Of EIP-7702, packed, one after another.")
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
