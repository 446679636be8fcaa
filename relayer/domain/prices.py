"""Which price is believed: fresh, the same from every source, and no leap from the one before."""

import dataclasses
import datetime
import decimal
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """US dollars of one whole token, as a source said at an instant."""

    source: str
    price_usd: decimal.Decimal
    observed_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How old a price may be, and how far it may lie from the one before, and from what another source says."""

    max_age: datetime.timedelta
    max_leap_percent: int
    max_deviation_percent: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """It is believed from now on."""

    observation: Observation


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """It is not believed, for now; the one before is used until it is out of date."""

    observation: Observation
    reason: str


def judge(
    *, kept: Observation | None, seen: Sequence[Observation], bounds: Bounds, now: datetime.datetime
) -> Taken | Held | None:
    """Judge what the sources say, the preferred one first; None when none of them says anything fresh.

    A leap is held while the price before is fresh; once that is out of date nothing is quoted from it any more, and the
    new one has had that time to be put right.
    """
    fresh = [each for each in seen if each.observed_at >= now - bounds.max_age]
    if not fresh:
        return None
    first = fresh[0]
    for other in fresh[1:]:
        if _differs(first.price_usd, other.price_usd, percent=bounds.max_deviation_percent):
            return Held(
                observation=first,
                reason=f"{first.source} says {_usd(first)}, {other.source} {_usd(other)}: too far apart.",
            )
    is_fresh = kept is not None and kept.observed_at >= now - bounds.max_age
    if kept is not None and is_fresh and _differs(kept.price_usd, first.price_usd, percent=bounds.max_leap_percent):
        return Held(
            observation=first,
            reason=f"{first.source} leaps from {_usd(kept)} to {_usd(first)}, more than {bounds.max_leap_percent} %.",
        )
    return Taken(observation=first)


def _differs(one: decimal.Decimal, other: decimal.Decimal, *, percent: int) -> bool:
    return abs(other - one) * 100 > one * percent


def _usd(observation: Observation) -> str:
    return f"{observation.price_usd.normalize():f} USD"
