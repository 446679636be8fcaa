"""The books: double entry, only ever added to."""

from django.db import models
from django.db.models import Q

from billing.domain import ledger
from billing.models.bills import Bill
from billing.models.payments import Payment
from billing.models.rules import AccountCredit, PrepaidDeposit
from customers import models as customer_models

OF_CUSTOMERS = sorted(code.value for code in ledger.OF_CUSTOMERS)


class LedgerAccount(models.Model):
    """An account of a utility's books, in one commodity; its balance is the sum of its entries."""

    class Code(models.TextChoices):
        RECEIVABLE = "receivable", "Owed by customers"
        REVENUE = "revenue", "Billed"
        TAX_PAYABLE = "tax_payable", "Taxes billed, owed to jurisdictions"
        CUSTOMER_CREDIT = "customer_credit", "Credits owed to customers"
        CREDITS_GIVEN = "credits_given", "Credits given by the utility"
        DEPOSIT = "deposit", "Paid in advance by customers"
        RECEIPTS = "receipts", "Received outside of the chain"
        BUDGET = "budget", "Deferred by budget billing"
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
                condition=Q(code__in=OF_CUSTOMERS, customer_account__isnull=False)
                | (~Q(code__in=OF_CUSTOMERS) & Q(customer_account__isnull=True)),
                name="ledger_account_of_customer_where_it_is_theirs",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.commodity})"


def _caused_by(cause: str, *kinds: str) -> Q:
    nulls = {f"{name}__isnull": name != cause for name in ("bill", "payment", "operation", "credit", "deposit")}
    return Q(kind__in=kinds, **nulls)


class LedgerTransaction(models.Model):
    """Entries that were booked together and sum to zero in every commodity. Append only."""

    class Kind(models.TextChoices):
        BILL = "bill", "Bill issued"
        CANCELLATION = "cancellation", "Bill cancelled by a correction"
        CREDIT = "credit", "Credit given"
        DEPOSIT = "deposit", "Deposit taken"
        PAYMENT = "payment", "Payment made"
        GAS = "gas", "Gas of a payment that failed"
        PAYOUT = "payout", "Payouts made"
        PAYOUT_GAS = "payout_gas", "Gas of payouts that failed"

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="ledger_transactions")
    kind = models.CharField(max_length=20, choices=Kind)
    bill = models.ForeignKey(Bill, on_delete=models.PROTECT, null=True, related_name="ledger_transactions")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="ledger_transactions")
    credit = models.ForeignKey(AccountCredit, on_delete=models.PROTECT, null=True, related_name="ledger_transactions")
    deposit = models.ForeignKey(PrepaidDeposit, on_delete=models.PROTECT, null=True, related_name="ledger_transactions")
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
            models.UniqueConstraint(fields=["credit"], name="ledger_credit_booked_once"),
            models.UniqueConstraint(fields=["deposit"], name="ledger_deposit_booked_once"),
            models.CheckConstraint(
                condition=_caused_by("bill", "bill", "cancellation")
                | _caused_by("payment", "payment", "gas")
                | _caused_by("operation", "payout", "payout_gas")
                | _caused_by("credit", "credit")
                | _caused_by("deposit", "deposit"),
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
