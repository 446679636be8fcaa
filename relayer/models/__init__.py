"""Rows of the bundler: quotes, operations, transactions that carry them, keys that send them, what staff did."""

from relayer.models.bundles import Bundle, BundleTransaction, RelayerKey
from relayer.models.callers import ApiKey, ApiKeyUsage, Reputation
from relayer.models.care import Balance, Counter, RecentCount, StaffAction, UtilityPause
from relayer.models.news import OperationNews
from relayer.models.operations import UserOperation, UserOperationReceipt, UserOperationTransition
from relayer.models.quotes import FeeQuote, TokenPrice
from relayer.models.refills import Refill
from relayer.models.sponsorships import (
    GasBudget,
    ProgramWallet,
    Sponsorship,
    SponsorshipCursor,
    SponsorshipPolicy,
)

__all__ = [
    "ApiKey",
    "ApiKeyUsage",
    "Balance",
    "Bundle",
    "BundleTransaction",
    "Counter",
    "FeeQuote",
    "GasBudget",
    "OperationNews",
    "ProgramWallet",
    "RecentCount",
    "Refill",
    "RelayerKey",
    "Reputation",
    "Sponsorship",
    "SponsorshipCursor",
    "SponsorshipPolicy",
    "StaffAction",
    "TokenPrice",
    "UserOperation",
    "UserOperationReceipt",
    "UserOperationTransition",
    "UtilityPause",
]
