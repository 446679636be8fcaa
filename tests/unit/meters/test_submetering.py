"""What is left of a meter with others behind it: energy is conserved, and nothing is guessed."""

import os

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from meters.domain import packing, submetering, units, usage

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
FAR = 2**40
ENERGY = strategies.integers(0, 10**9)


def read_of(nets: dict[int, int], *, seconds: int = 900) -> usage.Consumption:
    """Return readings by their slot: positive was taken, negative given."""
    slots = sorted(nets)
    values = np.array([nets[slot] for slot in slots], dtype=np.int64)
    return usage.Consumption(
        starts=seconds * np.array(slots, dtype=np.int64),
        seconds=np.full(len(slots), seconds, dtype=np.int64),
        delivered_milli_wh=np.maximum(values, 0),
        received_milli_wh=np.maximum(-values, 0),
        qualities=np.full(len(slots), units.Quality.VALID, dtype=np.uint8),
    )


def nets_of(read: usage.Consumption) -> dict[int, int]:
    return {
        int(start): int(delivered) - int(received)
        for start, delivered, received in zip(read.starts, read.delivered_milli_wh, read.received_milli_wh, strict=True)
    }


def left(parent: usage.Consumption, *children: usage.Consumption) -> dict[int, int]:
    return nets_of(
        submetering.remainder(parent=parent, children=[submetering.Child(child, 0, FAR) for child in children])
    )


@pytest.mark.parametrize(
    ("parent", "child", "expected"),
    [
        (10, 7, 3),  # a charger
        (-3, -5, 2),  # a roof: the parent's meter saw 2 of use less than 5 of sun
        (0, -4, 4),  # all of the sun used in the house
        (3, 5, -2),  # less than the child alone: the parent itself gave
        (-6, 0, -6),
    ],
)
def test_signs(parent: int, child: int, expected: int) -> None:
    assert left(read_of({0: parent}), read_of({0: child})) == {0: expected}


slots = strategies.dictionaries(strategies.integers(0, 40), strategies.integers(-(10**9), 10**9), max_size=40)


@hypothesis.settings(max_examples=EXAMPLES, deadline=None)
@hypothesis.given(slots, strategies.lists(slots, min_size=1, max_size=4))
def test_remainder_and_children_are_the_parent_where_all_are_known(
    parent: dict[int, int], children: list[dict[int, int]]
) -> None:
    found = left(read_of(parent), *(read_of(child) for child in children))

    known = {slot for slot in parent if all(slot in child for child in children)}
    assert set(found) == {900 * slot for slot in known}
    for slot in known:
        assert found[900 * slot] + sum(child[slot] for child in children) == parent[slot]


@hypothesis.settings(max_examples=EXAMPLES, deadline=None)
@hypothesis.given(slots, strategies.dictionaries(strategies.integers(0, 9), ENERGY, max_size=10))
def test_longer_readings_of_either_side_are_met(quarters: dict[int, int], hours: dict[int, int]) -> None:
    whole = {hour for hour in hours if all(4 * hour + quarter in quarters for quarter in range(4))}
    sums = {hour: sum(quarters[4 * hour + quarter] for quarter in range(4)) for hour in whole}

    as_child = left(read_of(hours, seconds=3600), read_of(quarters))
    as_parent = left(read_of(quarters), read_of(hours, seconds=3600))

    assert as_child == {3600 * hour: hours[hour] - sums[hour] for hour in whole}
    assert as_parent == {3600 * hour: sums[hour] - hours[hour] for hour in whole}


def test_a_child_counts_only_while_it_stands_there() -> None:
    parent = read_of({0: 10, 1: 10, 2: 10, 3: 10})
    child = submetering.Child(read_of({0: 4, 1: 4, 3: 4}), 900, 1800)

    assert nets_of(submetering.remainder(parent=parent, children=[child])) == {0: 10, 900: 6, 1800: 10, 2700: 10}


def test_readings_without_a_child_keep_both_directions() -> None:
    parent = read_of({0: 5})
    parent.received_milli_wh[0] = 3

    same = submetering.remainder(parent=parent, children=[submetering.Child(read_of({9: 1}), 8100, 9000)])

    assert same is parent


def test_grids_that_do_not_fit_are_refused() -> None:
    child = read_of({0: 1, 1: 1})
    shifted = usage.Consumption(
        child.starts + 300, child.seconds, child.delivered_milli_wh, child.received_milli_wh, child.qualities
    )

    with pytest.raises(packing.Unpackable, match="do not fit"):
        left(read_of({0: 5, 1: 5}), shifted)


@pytest.mark.parametrize(
    ("parents", "parent", "child", "expected"),
    [
        ({}, 1, 2, False),
        ({1: [2]}, 1, 2, True),
        ({1: [3], 3: [2]}, 1, 2, True),
        ({2: [1], 3: [1]}, 3, 4, False),
        ({1: [1]}, 1, 2, False),
    ],
)
def test_cycles(parents: dict[int, list[int]], parent: int, child: int, expected: bool) -> None:
    assert submetering.is_cycle(parents=parents, parent=parent, child=child) is expected
