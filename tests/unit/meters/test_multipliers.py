"""Reads times multipliers: which applies on a day, exact products, and what cannot be multiplied."""

import datetime
import fractions

import numpy as np
import pytest

from meters.domain import multipliers

MARCH = [datetime.date(2026, 3, day) for day in range(1, 32)]


def meter(serial: str, multiplier: int, starts_on: datetime.date, ends_on: datetime.date | None) -> multipliers.Meter:
    return multipliers.Meter(serial, fractions.Fraction(multiplier), starts_on, ends_on)


def test_a_meter_counts_from_its_first_day_to_the_day_before_its_end() -> None:
    meters = [meter("A", 40, MARCH[1], MARCH[3]), meter("B", 60, MARCH[3], None)]
    assert [multipliers.on_day(meters=meters, day=day) for day in MARCH[:5]] == [1, 40, 40, 60, 60]


def test_meters_of_one_multiplier_stand_together() -> None:
    meters = [meter("A", 40, MARCH[0], None), meter("B", 40, MARCH[0], None)]
    assert multipliers.on_day(meters=meters, day=MARCH[0]) == 40


def test_meters_of_different_multipliers_on_one_day_are_named() -> None:
    meters = [meter("B", 1, MARCH[0], None), meter("A", 40, MARCH[2], None)]
    assert multipliers.on_day(meters=meters, day=MARCH[1]) == 1
    with pytest.raises(multipliers.Unmultipliable, match=r"On 2026-03-03 .*\(A, B\)"):
        multipliers.on_day(meters=meters, day=MARCH[2])


def test_energy_is_rounded_towards_zero() -> None:
    reads = np.array([0, 1, 3, -1, -3, 41], dtype=np.int64)
    energy = multipliers.to_energy(reads=reads, multiplier=fractions.Fraction(1, 2))
    assert energy.tolist() == [0, 0, 1, 0, -1, 20]
    assert multipliers.to_energy(reads=reads, multiplier=multipliers.ONE) is reads


def test_long_multipliers_are_exact_where_a_plain_product_is_beyond_64_bits() -> None:
    multiplier = fractions.Fraction("999999.999999")
    reads = [9_000_000_000_001, -9_000_000_000_001]
    assert reads[0] * multiplier.numerator > 2**63
    energy = multipliers.to_energy(reads=np.array(reads, dtype=np.int64), multiplier=multiplier)
    assert energy.tolist() == [int(read * multiplier) for read in reads]


def test_energy_beyond_64_bits_is_refused() -> None:
    with pytest.raises(multipliers.Unmultipliable, match="beyond"):
        multipliers.to_energy(reads=np.array([2**62, 0], dtype=np.int64), multiplier=fractions.Fraction(2))


def test_each_days_reads_are_times_its_multiplier() -> None:
    reads = np.array([10, 20, 30, 41], dtype=np.int64)
    energy = multipliers.to_energy_by_day(
        reads=reads,
        places=np.array([0, 1, 3, 3, 4], dtype=np.int64),
        multipliers=[multipliers.ONE, fractions.Fraction(40), fractions.Fraction(7), fractions.Fraction(1, 2)],
    )
    assert energy.tolist() == [10, 800, 1200, 20]
    assert reads.tolist() == [10, 20, 30, 41]
