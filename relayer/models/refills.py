"""Coin on its way from the treasury to what the relayer lives on."""

from django.db import models
from django.db.models import Q

from openvpp.core import fields


class Refill(models.Model):
    """One transfer of the refill key, written down before it is sent; one at a time on a chain."""

    class State(models.TextChoices):
        OPEN = "open", "Signed, not final"
        DONE = "done", "Final"
        FAILED = "failed", "It never came about"

    chain_id = models.PositiveBigIntegerField()
    receiver = models.CharField(max_length=60, help_text="Address of the key, or name of the paymaster.")
    to = fields.AddressField()
    data = models.BinaryField()
    amount_wei = fields.Uint256Field()
    nonce = models.PositiveBigIntegerField()
    gas_limit = models.PositiveBigIntegerField()
    max_fee_per_gas_wei = fields.Uint256Field()
    max_priority_fee_per_gas_wei = fields.Uint256Field()
    raw = models.BinaryField(help_text="The newest signed transaction.")
    hashes = models.JSONField(help_text="Of every transaction that was signed under the nonce; the newest last.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    created_at = models.DateTimeField()
    signed_at = models.DateTimeField(help_text="When the newest transaction was signed.")
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain_id"], condition=Q(state="open"), name="refill_open_once"),
            models.CheckConstraint(condition=Q(amount_wei__gt=0), name="refill_has_amount"),
        ]

    def __str__(self) -> str:
        return f"{self.amount_wei} wei to {self.receiver} ({self.state})"
