"""When payouts are proven: by the token's own `Transfer` logs from the treasury wallet to each recipient."""

import dataclasses
from collections.abc import Mapping, Sequence

from contracts.bindings import events


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What must have moved: base units of `token` from `treasury` to each recipient, addresses as bytes."""

    treasury: bytes
    token: bytes
    amounts_units: Mapping[bytes, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Proven:
    """The index of the log that proves each recipient's payout."""

    log_indexes: Mapping[bytes, int]


@dataclasses.dataclass(frozen=True, slots=True)
class NotProven:
    """What is missing."""

    reason: str


def prove(*, due: Due, logs: Sequence[events.Event]) -> Proven | NotProven:
    """Say whether the logs of one final operation prove that everybody was paid, to the unit; each log counts once.

    A `PayoutMade` event counts for nothing: it is a contract's word, not the token's.
    """
    unused = [log for log in logs if isinstance(log, events.Transfer)]
    found: dict[bytes, int] = {}
    for recipient, units in due.amounts_units.items():
        wanted = (due.token, due.treasury, recipient, units)
        for log in unused:
            if (log.emitter, log.sender, log.recipient, log.amount_units) == wanted and log.log_index is not None:
                found[recipient] = log.log_index
                unused.remove(log)
                break
        else:
            return NotProven(f"No transfer of exactly {units} base units reached 0x{recipient.hex()}.")
    return Proven(found)
