"""Rows of the bundler: quotes, user operations, the transactions that carry them, and the keys that send them."""

from relayer.models.bundles import Bundle, BundleTransaction, RelayerKey
from relayer.models.callers import ApiKey, ApiKeyUsage, Reputation
from relayer.models.operations import UserOperation, UserOperationReceipt, UserOperationTransition
from relayer.models.quotes import FeeQuote, TokenPrice

__all__ = [
    "ApiKey",
    "ApiKeyUsage",
    "Bundle",
    "BundleTransaction",
    "FeeQuote",
    "RelayerKey",
    "Reputation",
    "TokenPrice",
    "UserOperation",
    "UserOperationReceipt",
    "UserOperationTransition",
]
