"""When a payment is proven: by the token's own `Transfer` logs, never by what an account says of itself."""

import dataclasses
from collections.abc import Sequence

from contracts.bindings import events


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What must have moved from the wallet to the treasury; tokens by address, amounts in base units.

    The fee is in `token` unless `fee_token` names another.
    """

    wallet: bytes
    treasury: bytes
    token: bytes
    amount_units: int
    fee_units: int = 0
    fee_token: bytes | None = None

    def transfers(self) -> tuple[tuple[bytes, int], ...]:
        """Return each transfer that must stand in the receipt, as token and units."""
        if self.fee_token is None or self.fee_token == self.token:
            return ((self.token, self.amount_units + self.fee_units),)
        if self.fee_units == 0:
            return ((self.token, self.amount_units),)
        return ((self.token, self.amount_units), (self.fee_token, self.fee_units))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProvenTransfer:
    """A `Transfer` log that counts, by its place in the block."""

    log_index: int
    token: bytes
    sender: bytes
    recipient: bytes
    units: int


@dataclasses.dataclass(frozen=True, slots=True)
class Proven:
    """The logs that prove a payment, one for each transfer that was due, in that order."""

    transfers: tuple[ProvenTransfer, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class NotProven:
    """What is missing."""

    reason: str


def prove(*, due: Due, logs: Sequence[events.Event]) -> Proven | NotProven:
    """Say whether the logs of one final operation prove that what was due was paid.

    Each log counts once. A `BillPaid` event counts for nothing: any account may emit one.
    """
    unused = [
        ProvenTransfer(
            log_index=log.log_index,
            token=log.emitter,
            sender=log.sender,
            recipient=log.recipient,
            units=log.amount_units,
        )
        for log in logs
        if isinstance(log, events.Transfer) and log.log_index is not None
    ]
    found: list[ProvenTransfer] = []
    for token, units in due.transfers():
        wanted = (token, due.wallet, due.treasury, units)
        match = next((log for log in unused if (log.token, log.sender, log.recipient, log.units) == wanted), None)
        if match is None:
            return NotProven(f"No transfer of exactly {units} base units of 0x{token.hex()} reached the treasury.")
        unused.remove(match)
        found.append(match)
    return Proven(tuple(found))
