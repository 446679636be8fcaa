"""Tariffs, bills, payments, and a ledger that is only ever added to."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from billing.models.rules import (
    AccountCredit,
    BudgetPlan,
    CreditUse,
    DiscountEnrollment,
    DiscountProgram,
    Jurisdiction,
    MarketPrice,
    PrepaidDeposit,
    PrepayPlan,
    Rider,
    Tax,
    TaxedPlace,
    TaxExemption,
)
from billing.models.runs import BillDraft, BillRun, DraftException, LineLayout
from customers import models as customer_models
from openvpp.core import fields

__all__ = [
    "AccountCredit",
    "Bill",
    "BillDraft",
    "BillLine",
    "BillRun",
    "BudgetPlan",
    "CreditUse",
    "DiscountEnrollment",
    "DiscountProgram",
    "DraftException",
    "Jurisdiction",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "LineLayout",
    "MarketPrice",
    "Payment",
    "PaymentAllocation",
    "PrepaidDeposit",
    "PrepayPlan",
    "ProvenTransfer",
    "Rider",
    "Tariff",
    "Tax",
    "TaxExemption",
    "TaxedPlace",
]


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
    amount_due_cents = models.BigIntegerField(help_text="Negative when the account is in credit.")
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


class LedgerAccount(models.Model):
    """An account of a utility's books, in one commodity; its balance is the sum of its entries."""

    class Code(models.TextChoices):
        RECEIVABLE = "receivable", "Owed by customers"
        REVENUE = "revenue", "Billed"
        TREASURY = "treasury", "In the treasury, on the chain"
        CONVERSION = "conversion", "Tokens taken for currency owed"
        FEE_INCOME = "fee_income", "Network fees taken"
        GAS_EXPENSE = "gas_expense", "Gas paid"
        GAS_DEPOSIT = "gas_deposit", "Deposit that pays for gas"
        PROGRAM_EXPENSE = "program_expense", "Paid for flexibility"
        PROGRAM_TREASURY = "program_treasury", "Paid out of program treasuries, on the chain"

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="ledger_accounts")
    code = models.CharField(max_length=20, choices=Code)
    commodity = models.CharField(
        max_length=80, help_text="A currency in cents (USD), a token in base units (31337:0x…), or 31337:wei."
    )
    customer_account = models.ForeignKey(
        "customers.CustomerAccount", on_delete=models.PROTECT, null=True, blank=True, related_name="ledger_accounts"
    )

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["utility", "code", "commodity", "customer_account"],
                name="ledger_account_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(code="receivable", customer_account__isnull=False)
                | (~Q(code="receivable") & Q(customer_account__isnull=True)),
                name="ledger_account_of_customer_is_receivable",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.commodity})"


class LedgerTransaction(models.Model):
    """Entries that were booked together and sum to zero in every commodity. Append only."""

    class Kind(models.TextChoices):
        BILL = "bill", "Bill issued"
        CANCELLATION = "cancellation", "Bill cancelled by a correction"
        PAYMENT = "payment", "Payment made"
        GAS = "gas", "Gas of a payment that failed"
        PAYOUT = "payout", "Payouts made"
        PAYOUT_GAS = "payout_gas", "Gas of payouts that failed"

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="ledger_transactions")
    kind = models.CharField(max_length=20, choices=Kind)
    bill = models.ForeignKey(Bill, on_delete=models.PROTECT, null=True, related_name="ledger_transactions")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="ledger_transactions")
    operation = models.ForeignKey(
        "wallets.Operation",
        on_delete=models.PROTECT,
        null=True,
        related_name="ledger_transactions",
        help_text="What carried payouts to the chain.",
    )
    booked_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bill", "kind"], name="ledger_bill_booked_once"),
            models.UniqueConstraint(fields=["payment"], name="ledger_payment_booked_once"),
            models.UniqueConstraint(fields=["operation"], name="ledger_operation_booked_once"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=["bill", "cancellation"], bill__isnull=False, payment__isnull=True, operation__isnull=True
                )
                | Q(kind__in=["payment", "gas"], bill__isnull=True, payment__isnull=False, operation__isnull=True)
                | Q(
                    kind__in=["payout", "payout_gas"], bill__isnull=True, payment__isnull=True, operation__isnull=False
                ),
                name="ledger_transaction_has_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class LedgerEntry(models.Model):
    """One side of a booking: a debit when positive, a credit when negative. Append only."""

    transaction = models.ForeignKey(LedgerTransaction, on_delete=models.PROTECT, related_name="entries")
    account = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="entries")
    amount = models.DecimalField(max_digits=78, decimal_places=0, help_text="In the account's commodity.")

    utility_path = "transaction__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="ledger_entry_is_of_something"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.account_id}"
