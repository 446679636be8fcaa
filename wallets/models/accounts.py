"""Smart-contract accounts."""

import uuid

from django.db import models
from django.db.models import Q

from customers import models as customer_models
from openvpp.core import fields


class Wallet(models.Model):
    """A smart-contract account. Its address is known at once; it is deployed with its first operation."""

    class Kind(models.TextChoices):
        CUSTOMER = "customer", "Customer"
        TREASURY = "treasury", "Program treasury"
        GUARDIAN = "guardian", "Guardian"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.CUSTOMER)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="wallets")
    customer = models.OneToOneField(
        "customers.Customer", on_delete=models.PROTECT, null=True, blank=True, related_name="wallet"
    )
    label = models.CharField(max_length=100, blank=True)
    chain_id = models.PositiveBigIntegerField()
    owner_key = models.OneToOneField("custody.SealedKey", on_delete=models.PROTECT, related_name="+")
    salt = fields.HashField(help_text="Random; with the owner it gives the address.")
    address = fields.AddressField()
    deployed_at = models.DateTimeField(null=True, blank=True)
    left_custody_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="From here on a key that the customer holds owns it, and nothing is signed here.",
    )
    created_at = models.DateTimeField()

    utility_path = "utility"
    user_path = "customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain_id", "address"], name="wallet_address_once"),
            models.CheckConstraint(
                condition=Q(kind="customer", customer__isnull=False)
                | Q(kind__in=["treasury", "guardian"], customer__isnull=True),
                name="wallet_of_customer_or_utility",
            ),
            models.UniqueConstraint(
                fields=["utility"], condition=Q(kind="guardian"), name="wallet_guardian_once_per_utility"
            ),
        ]

    def __str__(self) -> str:
        return str(self.address)
