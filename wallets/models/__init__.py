"""Smart wallets, OAuth rows, the grants that let an application spend, and operations, by subject."""

from wallets.models.accounts import Wallet
from wallets.models.applications import Application
from wallets.models.control import CustodyExit, OwnerRotation, TreasuryMove
from wallets.models.grants import SessionKeyGrant
from wallets.models.operations import Operation, OperationTransition, SignatureRequest
from wallets.models.recovery import WalletRecovery
from wallets.models.tokens import (
    AccessToken,
    DeviceGrant,
    Grant,
    IDToken,
    ProofUse,
    PushedRequest,
    RefreshToken,
    SocketTicket,
)

__all__ = [
    "AccessToken",
    "Application",
    "CustodyExit",
    "DeviceGrant",
    "Grant",
    "IDToken",
    "Operation",
    "OperationTransition",
    "OwnerRotation",
    "ProofUse",
    "PushedRequest",
    "RefreshToken",
    "SessionKeyGrant",
    "SignatureRequest",
    "SocketTicket",
    "TreasuryMove",
    "Wallet",
    "WalletRecovery",
]
