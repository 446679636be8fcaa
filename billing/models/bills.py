"""Tariffs, and bills with their lines."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest

from billing.domain import bill as rated_bills
from customers import models as customer_models


class Tariff(models.Model):
    """One version of a utility's price sheet, in force on the local days `[effective_from, effective_until)`."""

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="tariffs")
    code = models.CharField(max_length=64)
    name = models.CharField(max_length=300)
    effective_from = models.DateField()
    effective_until = models.DateField(null=True, blank=True)
    document = models.TextField(help_text="The rate as it was imported: JSON in URDB's fields, to the last digit.")
    terms = models.JSONField(default=dict, blank=True, help_text="How the utility reads it where the sheet is silent.")
    warnings = models.JSONField(default=list, blank=True, help_text="What the sheet says in words and is not priced.")
    imported_at = models.DateTimeField()

    utility_path = "utility"
    user_path = "utility__accounts__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["code", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["utility", "code", "effective_from"], name="tariff_version_once"),
            models.CheckConstraint(
                condition=Q(effective_until__isnull=True) | Q(effective_until__gt=F("effective_from")),
                name="tariff_period_is_forward",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} from {self.effective_from}"


class Bill(models.Model):
    """What an account owes for the local days `[starts_on, ends_on)`; its lines sum to it."""

    class Source(models.TextChoices):
        RATED = "rated", "Rated here"
        RECEIVED = "received", "Received from the utility's billing system"

    class State(models.TextChoices):
        ISSUED = "issued", "Issued"
        PENDING = "pending", "Payment on its way"
        PAID = "paid", "Paid"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="bills")
    account = models.ForeignKey("customers.CustomerAccount", on_delete=models.PROTECT, related_name="bills")
    source = models.CharField(max_length=10, choices=Source)
    number = models.CharField(max_length=64)
    starts_on = models.DateField()
    ends_on = models.DateField()
    time_zone = models.CharField(max_length=64, help_text="In whose days the period is counted.")
    currency = models.CharField(max_length=3)
    total_cents = models.BigIntegerField(help_text="What its lines sum to; below zero is a credit for later bills.")
    amount_due_cents = models.BigIntegerField(help_text="What it asks for: its total, or nothing.")
    brought_forward_cents = models.BigIntegerField(
        default=0, help_text="How much credit of earlier bills it used, in a line of its own."
    )
    carried_forward_cents = models.BigIntegerField(
        default=0, help_text="How much credit was left for later bills when it was issued."
    )
    due_on = models.DateField()
    state = models.CharField(max_length=10, choices=State, default=State.ISSUED)
    issued_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)
    rating = models.JSONField(
        default=list, blank=True, help_text="What each rated span left for later bills: usage, peak, energy carried."
    )
    corrects = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="corrected_by",
        help_text="The cancelled bill that this one stands in for.",
    )
    correction_reason = models.CharField(max_length=500, blank=True)
    correction_made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    utility_path = "utility"
    user_path = "account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["account", "-issued_at"], name="bill_by_account")]
        constraints = [
            models.UniqueConstraint(fields=["utility", "number"], name="bill_number_once"),
            models.UniqueConstraint(
                fields=["account", "starts_on", "ends_on"],
                condition=Q(source="rated") & ~Q(state="cancelled"),
                name="bill_rated_once_per_period",
            ),
            models.CheckConstraint(condition=Q(ends_on__gt=F("starts_on")), name="bill_period_is_forward"),
            models.CheckConstraint(
                condition=Q(state="paid", paid_at__isnull=False)
                | Q(state__in=["issued", "pending"], paid_at__isnull=True)
                | Q(state="cancelled"),
                name="bill_paid_has_instant",
            ),
            models.CheckConstraint(
                condition=Q(corrects__isnull=True, correction_reason="", correction_made_by__isnull=True)
                | (Q(corrects__isnull=False, correction_made_by__isnull=False) & ~Q(correction_reason="")),
                name="bill_correction_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(amount_due_cents=Greatest(F("total_cents"), 0), brought_forward_cents__gte=0)
                & Q(carried_forward_cents__gte=Greatest(-F("total_cents"), 0)),
                name="bill_asks_its_total_or_nothing",
            ),
            models.CheckConstraint(
                condition=Q(amount_due_cents__gt=0) | Q(state__in=["issued", "cancelled"]),
                name="bill_paid_was_due",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def omissions(self) -> list[str]:
        """Return what the tariff charges and this bill could not price, each once."""
        return list(dict.fromkeys(omission for span in self.rating for omission in span["omissions"]))

    @property
    def estimates(self) -> list[rated_bills.Estimate]:
        """Return the readings in it that the meter did not give, by how they came about."""
        found = [rated_bills.Estimate(**item) for span in self.rating for item in span.get("estimates", ())]
        return rated_bills.add_up(estimates=found)

    @property
    def estimates_text(self) -> str:
        """Return in words which readings are estimates; empty where none is."""
        return rated_bills.describe(estimates=self.estimates)

    @property
    def prices_known_at(self) -> str:
        """Return when the last of the real-time prices came in that it used, RFC 3339; empty where it used none."""
        return max((span.get("prices_known_at", "") for span in self.rating), default="")


class BillLine(models.Model):
    """One row of a bill: `quantity` x `unit_price_nano` x factor, in nano-units of the currency."""

    bill = models.ForeignKey(Bill, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=32)
    label = models.CharField(max_length=200)
    quantity = models.DecimalField(max_digits=24, decimal_places=6)
    unit = models.CharField(max_length=32)
    unit_price_nano = models.BigIntegerField()
    factor_numerator = models.BigIntegerField(default=1, help_text="With the denominator: the share of a month.")
    factor_denominator = models.BigIntegerField(default=1)
    amount_nano = models.BigIntegerField()
    tariff = models.ForeignKey(Tariff, on_delete=models.PROTECT, null=True, related_name="lines")
    service_point = models.ForeignKey("customers.ServicePoint", on_delete=models.PROTECT, null=True, related_name="+")
    starts_on = models.DateField(help_text="First local day that the line is for.")
    ends_on = models.DateField(help_text="First local day that it is no longer for.")

    utility_path = "bill__utility"
    user_path = "bill__account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["bill", "position"], name="bill_line_position_once"),
            models.CheckConstraint(condition=Q(ends_on__gt=F("starts_on")), name="bill_line_period_is_forward"),
            models.CheckConstraint(condition=Q(factor_denominator__gt=0), name="bill_line_factor_is_a_fraction"),
        ]

    def __str__(self) -> str:
        return self.label
