"""What is done with a bill once it is charged: credits, levelized (budget) billing, and what was paid in advance."""

import dataclasses
import datetime
from collections.abc import Sequence

from billing.domain import bill

_NANO_PER_UNIT = 10**9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """An amount that an account is owed; `left_nano` of it is not used yet, whole minor units.

    It takes a bill down to zero and the rest waits for the next, unless `is_refunded`: then the bill may go below.
    One that `is_balance` was left by an earlier bill: it is used after what budget billing makes of the charges.
    """

    reference: int
    label: str
    left_nano: int
    is_refunded: bool = False
    is_balance: bool = False

    def __post_init__(self) -> None:
        if self.left_nano < 0:
            raise ValueError("A credit has something left, or nothing.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Levelized billing: each bill is for `instalment_nano`, and the difference is kept until the settlement.

    `deferred_nano` is what earlier bills deferred: what the customer still owes, below zero when they paid more. A
    bill that `settles` is for what it charges and all that was deferred.
    """

    code: str
    version: datetime.date
    instalment_nano: int
    deferred_nano: int
    settles: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What settling adds to a bill: its lines, what each credit gave, and what is left for later.

    `brought_nano` is what was used of earlier bills' credits, `carried_nano` all credit that later bills may use; what
    this bill leaves, if it comes to less than nothing, is in it.
    """

    lines: tuple[bill.Line, ...]
    used: tuple[tuple[int, int], ...]
    deferred_nano: int
    prepaid_left_nano: int
    brought_nano: int = 0
    carried_nano: int = 0


def settle(
    *,
    charged_nano: int,
    credits_left: Sequence[Credit] = (),
    budget: Budget | None = None,
    taken_over: Sequence[bill.Line] = (),
    prepaid_nano: int = 0,
) -> Settled:
    """Return what becomes of a bill's charges: given credits, budget, `taken_over`, balances, prepayment.

    Credits are used in the order given. `taken_over` is what stands for a bill that this one corrects. The bill comes
    to `charged_nano` and the lines' amounts. Nothing is lost: credits used, what is deferred and what prepayment is
    left change by exactly the amounts of the lines.
    """
    due = charged_nano
    lines: list[bill.Line] = []
    used: list[tuple[int, int]] = []
    for credit in (each for each in credits_left if not each.is_balance):
        taken = credit.left_nano if credit.is_refunded else max(0, min(credit.left_nano, due))
        if taken:
            lines.append(_line(kind=bill.LineKind.CREDIT, label=credit.label, amount_nano=-taken))
            used.append((credit.reference, taken))
            due -= taken
    deferred = 0 if budget is None else budget.deferred_nano
    if budget is not None:
        change = deferred if budget.settles else budget.instalment_nano - due
        words = "settlement of what was deferred" if budget.settles else "difference from the instalment"
        if change:
            label = f"Budget billing: {words} ({budget.code}, version {budget.version})"
            lines.append(_line(kind=bill.LineKind.BUDGET, label=label, amount_nano=change))
        deferred -= change
        due += change
    lines += taken_over
    due += sum(line.amount_nano for line in taken_over)
    brought = 0
    for credit in (each for each in credits_left if each.is_balance):
        taken = max(0, min(credit.left_nano, due))
        if taken:
            used.append((credit.reference, taken))
            due -= taken
            brought += taken
    if brought:
        label = "Credit brought forward"
        lines.append(_line(kind=bill.LineKind.BROUGHT_FORWARD, label=label, amount_nano=-brought))
    drawn = max(0, min(prepaid_nano, due))
    if drawn:
        lines.append(_line(kind=bill.LineKind.PREPAID, label="Paid in advance", amount_nano=-drawn))
    left = sum(credit.left_nano for credit in credits_left) - sum(amount for _, amount in used)
    return Settled(
        lines=tuple(lines),
        used=tuple(used),
        deferred_nano=deferred,
        prepaid_left_nano=prepaid_nano - drawn,
        brought_nano=brought,
        carried_nano=left + max(0, drawn - due),
    )


def propose_instalment(*, charged_nano: Sequence[int]) -> int:
    """Return an instalment for a year whose months cost about what these did: their average, up to a whole unit.

    :raises ValueError: there is no month to go by.
    """
    if not charged_nano:
        raise ValueError("There is no month to go by.")
    return max(0, -(-sum(charged_nano) // (len(charged_nano) * _NANO_PER_UNIT))) * _NANO_PER_UNIT


def _line(*, kind: bill.LineKind, label: str, amount_nano: int) -> bill.Line:
    return bill.Line(
        kind=kind,
        label=label[:200],
        quantity=bill.ONE,
        unit="bill",
        unit_price_nano=amount_nano,
        amount_nano=amount_nano,
    )
