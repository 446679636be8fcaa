"""Tariffs, bills, payments, and a ledger that is only ever added to."""

from billing.models.bills import Bill, BillLine, Tariff
from billing.models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.models.payments import Payment, PaymentAllocation, ProvenTransfer
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
