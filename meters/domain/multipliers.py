"""Reads become energy: what a meter reads times its multiplier, on the local days on which it stands.

Reads are stored as they came. A meter behind current transformers reads a fraction of what flows, and its multiplier
says which. Each interval's energy is rounded down to the thousandth of its unit, in size: a net interval towards
zero, so that neither what was taken nor what was given is ever rounded up. Sums are sums of these.
"""

import dataclasses
import datetime
import fractions
from collections.abc import Sequence

import numpy as np

from meters.domain import packing

ONE = fractions.Fraction(1)


class Unmultipliable(ValueError):
    """Reads that cannot be turned into energy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Meter:
    """A meter that stands at a service point on the local days `[starts_on, ends_on)`; without an end, still."""

    serial: str
    multiplier: fractions.Fraction
    starts_on: datetime.date
    ends_on: datetime.date | None

    def stands_on(self, day: datetime.date) -> bool:
        """Say whether the meter stands on a local day."""
        return self.starts_on <= day and (self.ends_on is None or day < self.ends_on)


def on_day(*, meters: Sequence[Meter], day: datetime.date) -> fractions.Fraction:
    """Return what a point's reads of a local day are multiplied by; 1 where none of its meters stands.

    :raises Unmultipliable: meters of several multipliers stand there; channels do not say which meter read them.
    """
    standing = [meter for meter in meters if meter.stands_on(day)]
    found = {meter.multiplier for meter in standing}
    if len(found) > 1:
        serials = ", ".join(sorted(meter.serial for meter in standing))
        raise Unmultipliable(
            f"On {day} meters of different multipliers stand at this service point ({serials}), and its readings do "
            "not say whose they are."
        )
    return found.pop() if found else ONE


def to_energy(*, reads: packing.Int64s, multiplier: fractions.Fraction) -> packing.Int64s:
    """Return reads times a multiplier, exact in thousandths of the unit, each rounded towards zero.

    :raises Unmultipliable: a product is beyond 64 bits.
    """
    if multiplier == ONE or not len(reads):
        return reads
    if max(int(reads.max()), -int(reads.min())) * multiplier >= 2**63:
        raise Unmultipliable(f"Readings times {multiplier} are beyond what energy can be.")
    # Whole multiples of the denominator apart from the rest: their product with the numerator is never too wide.
    wholes, rests = np.divmod(np.abs(reads), multiplier.denominator)
    energy = wholes * multiplier.numerator + rests * multiplier.numerator // multiplier.denominator
    return np.asarray(np.sign(reads) * energy, dtype=np.int64)


def to_energy_by_day(
    *, reads: packing.Int64s, places: packing.Int64s, multipliers: Sequence[fractions.Fraction]
) -> packing.Int64s:
    """Return the energy of many days' reads; day `i` is `reads[places[i]:places[i + 1]]`.

    :raises Unmultipliable: see `to_energy`.
    """
    energy = reads.copy()
    for place, multiplier in enumerate(multipliers):
        if multiplier != ONE:
            day = slice(int(places[place]), int(places[place + 1]))
            energy[day] = to_energy(reads=reads[day], multiplier=multiplier)
    return energy
