"""What other apps may ask of wallets: to open one, to reserve an operation, to send it; by subject."""

from wallets.operations.access import end_data_access
from wallets.operations.ending import UnableToMoveOperation, end, move
from wallets.operations.opening import open_guardian_wallet, open_treasury_wallet, open_wallet
from wallets.operations.reserving import UnableToReserve, reserve
from wallets.operations.sending import (
    SEND_WITHIN,
    SIGN_WITHIN,
    WITHDRAWN,
    UnableToSubmit,
    queue,
    submit,
    submit_reserved,
)

__all__ = [
    "SEND_WITHIN",
    "SIGN_WITHIN",
    "WITHDRAWN",
    "UnableToMoveOperation",
    "UnableToReserve",
    "UnableToSubmit",
    "end",
    "end_data_access",
    "move",
    "open_guardian_wallet",
    "open_treasury_wallet",
    "open_wallet",
    "queue",
    "reserve",
    "submit",
    "submit_reserved",
]
