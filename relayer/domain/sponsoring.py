"""Which policies an operation falls under, in which period, and who is asked to pay for it first."""

import dataclasses
import datetime
import enum
import re
import uuid
import zoneinfo
from collections.abc import Iterable, Sequence

from contracts.bindings import accounts, payments, words

BILL_PAYMENT = "bill_payment"
EVERYBODY = "0x0000000000000000000000000000000000000000"
_METHOD = re.compile(r"^(bill_payment|(0x[0-9a-f]{40}:)?0x[0-9a-f]{8})$")
_SELECTOR_BYTES = 4
_DECEMBER = 12
_DAY_S = 86_400


class Period(enum.StrEnum):
    """How long a budget lasts."""

    DAY = "day"
    MONTH = "month"
    WHOLE = "whole"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An operation that somebody shall pay for: whose, and what it calls (see `methods_of`)."""

    wallet: str
    methods: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The period `[starts_at, ends_at)` of a budget; without end for one that lasts as long as its policy."""

    starts_at: datetime.datetime
    ends_at: datetime.datetime | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is paid for by a program, or without one by the utility. None stands for all."""

    id: uuid.UUID
    name: str
    program: uuid.UUID | None = None
    wallet: str | None = None
    method: str = ""
    period: Period
    is_each: bool = False
    zone: zoneinfo.ZoneInfo
    starts_at: datetime.datetime
    ends_at: datetime.datetime | None = None

    def covers(self, request: Request, /, *, now: datetime.datetime) -> bool:
        """Say whether it pays for such an operation now: for each of its calls, or for none."""
        is_now = self.starts_at <= now and (self.ends_at is None or now < self.ends_at)
        is_theirs = self.wallet in (None, request.wallet)
        is_paid = not self.method or (bool(request.methods) and all(map(self._pays, request.methods)))
        return is_now and is_theirs and is_paid

    def window(self, *, now: datetime.datetime) -> Window:
        """Return the period that an instant lies in, cut at the policy's own ends."""
        if self.period is Period.WHOLE:
            return Window(starts_at=self.starts_at, ends_at=self.ends_at)
        local = now.astimezone(self.zone)
        first = local.date() if self.period is Period.DAY else local.date().replace(day=1)
        following = first + datetime.timedelta(days=1)
        if self.period is Period.MONTH:
            is_last = first.month == _DECEMBER
            following = first.replace(year=first.year + is_last, month=1 if is_last else first.month + 1)
        return Window(starts_at=self._midnight(first), ends_at=self._midnight(following))

    def counted_for(self, request: Request, /) -> str:
        """Return the wallet whose own budget it is, `EVERYBODY` where all share one."""
        return request.wallet if self.is_each else EVERYBODY

    def _midnight(self, day: datetime.date) -> datetime.datetime:
        return datetime.datetime.combine(day, datetime.time(), tzinfo=self.zone).astimezone(datetime.UTC)

    def _pays(self, method: str) -> bool:
        return self.method in (method, method.rpartition(":")[2])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One who may pay: a program or, without one, the utility, within these policies; none of them is no limit."""

    program: uuid.UUID | None
    policies: tuple[Policy, ...]

    @property
    def reason(self) -> str:
        """Return why this one pays, in words."""
        payer = "The utility pays" if self.program is None else "The program pays"
        return f"{payer}, within “{self.policies[0].name}”." if self.policies else f"{payer} the network fee."


def offers(
    *,
    policies: Sequence[Policy],
    programs: Iterable[uuid.UUID],
    utility_pays: bool,
    request: Request,
    now: datetime.datetime,
) -> list[Offer]:
    """Return who may pay for an operation, first come first asked: the wallet's programs in order, then the utility.

    Who has no policy that covers the operation does not pay. A utility without any policy of its own pays for all,
    within what the chain lets it spend.
    """
    found: list[Offer] = []
    payers: list[uuid.UUID | None] = [*programs, None] if utility_pays else [*programs]
    for payer in payers:
        own = [policy for policy in policies if policy.program == payer]
        covering = tuple(policy for policy in own if policy.covers(request, now=now))
        if covering or (payer is None and not own):
            found.append(Offer(program=payer, policies=covering))
    return found


def methods_of(*, call_data: bytes) -> tuple[str, ...]:
    """Return what an operation calls: `bill_payment`, `address:selector` of each call of a batch, else a selector."""
    try:
        payments.decode_pay_bill(call_data=call_data)
    except ValueError:
        pass
    else:
        return (BILL_PAYMENT,)
    try:
        calls = accounts.decode_execute_batch(call_data=call_data)
    except accounts.UnableToReadCall:
        return ("0x" + call_data[:_SELECTOR_BYTES].hex(),)
    return tuple(f"0x{call.to.hex()}:0x{call.data[:_SELECTOR_BYTES].hex()}" for call in calls)


def is_method(text: str, /) -> bool:
    """Say whether a policy may name this as what it pays for."""
    return bool(_METHOD.match(text))


def checked_wallet(text: str, /) -> str:
    """Return an address as rows keep it.

    :raises ValueError: that is none.
    """
    return words.checksummed(words.parse_address(text))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a budget is used, and when it is used up at that: None where that is not before it ends."""

    per_day: int
    lasts_until: datetime.datetime | None


def pace(
    *,
    spent: int,
    over: datetime.timedelta,
    left: int,
    ends_at: datetime.datetime | None,
    now: datetime.datetime,
) -> Pace:
    """Return how long what is left lasts if as much goes on being used as of late: `spent` within `over`."""
    over_s = int(over.total_seconds())
    if spent <= 0 or over_s <= 0:
        return Pace(per_day=0, lasts_until=None)
    try:
        until: datetime.datetime | None = now + datetime.timedelta(seconds=left * over_s // spent)
    except OverflowError:
        until = None
    if until is not None and ends_at is not None and until >= ends_at:
        until = None
    return Pace(per_day=spent * _DAY_S // over_s, lasts_until=until)
