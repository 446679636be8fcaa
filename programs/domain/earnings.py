"""What a performance earns.

Performance is baseline minus actual, both net consumption: a battery that would have taken 0.1 kWh and gave 2.4 kWh
performed 2.5 kWh; a thermostat that would have used 3 kWh and used 2 performed 1. Intervals add up, those above the
baseline against those below it. An interval that was not measured performs nothing.
"""

import dataclasses
import decimal
import fractions
from collections.abc import Sequence

WH_PER_KWH = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Performance:
    """Exact Wh over the intervals that were measured; `measured` is how many those are."""

    baseline_wh: fractions.Fraction
    actual_wh: int
    measured: int

    @property
    def performance_wh(self) -> fractions.Fraction:
        """Return baseline minus actual."""
        return self.baseline_wh - self.actual_wh


def perform(*, baseline_wh: Sequence[fractions.Fraction], actual_wh: Sequence[int | None]) -> Performance:
    """Return the performance over a window, interval by interval.

    :raises ValueError: the two have different lengths.
    """
    pairs = [(b, a) for b, a in zip(baseline_wh, actual_wh, strict=True) if a is not None]
    return Performance(
        baseline_wh=sum((b for b, _ in pairs), fractions.Fraction()),
        actual_wh=sum(a for _, a in pairs),
        measured=len(pairs),
    )


def payout_units(
    *, performance_wh: fractions.Fraction, payout_usd_per_kwh: decimal.Decimal, token_decimals: int
) -> int:
    """Return what a performance earns in base units of a token worth one dollar, rounded down once, at least 0."""
    if performance_wh <= 0:
        return 0
    units_per_token: int = 10**token_decimals
    exact = performance_wh / WH_PER_KWH * fractions.Fraction(payout_usd_per_kwh) * units_per_token
    return exact.numerator // exact.denominator
