"""A network fee that was named and locked, and the prices that it rests on."""

import uuid

from django.db import models
from django.db.models import F, Q

from customers import models as customer_models
from openvpp.core import fields
from relayer.models import sponsorships


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
    margin_percent = models.PositiveSmallIntegerField(default=0, help_text="What the fee adds to the expected cost.")
    fee_wei = fields.Uint256Field(default=0, help_text="What the fee was worth in the chain's coin when it was quoted.")
    sponsorship = models.OneToOneField(
        sponsorships.Sponsorship,
        on_delete=models.PROTECT,
        null=True,
        related_name="quote",
        help_text="What is reserved for it, and what it cost.",
    )
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


class TokenPrice(models.Model):
    """What the price sources last said that was believed, and what is held back because it was not."""

    chain_id = models.PositiveBigIntegerField()
    token = fields.AddressField(help_text="Zero address for the native coin.")
    price_usd = models.DecimalField(max_digits=30, decimal_places=12, help_text="Of one whole token.")
    observed_at = models.DateTimeField()
    source = models.CharField(max_length=100)
    held_price_usd = models.DecimalField(
        max_digits=30, decimal_places=12, null=True, help_text="What was said since, and is not believed yet."
    )
    held_at = models.DateTimeField(null=True)
    held_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain_id", "token"], name="price_once_per_token"),
            models.CheckConstraint(condition=Q(price_usd__gt=0), name="price_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.token}: {self.price_usd} USD"
