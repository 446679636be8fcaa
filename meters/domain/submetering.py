"""What is left of a meter when the meters behind it are billed by themselves.

Per interval, the net of the parent less the nets of its children: taken from the grid counts up, given to it down. A
charger's use so leaves the parent's account; a roof's generation, which the parent's meter saw as less use, comes back
to it. Parent's remainder and children add up to the parent's meter, always.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from meters.domain import packing, usage


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Child:
    """What a meter behind another read while it stood behind it: `[starts, ends)`, epoch seconds."""

    read: usage.Consumption
    starts: int
    ends: int


def remainder(*, parent: usage.Consumption, children: Sequence[Child]) -> usage.Consumption:
    """Return what the parent's own account took and gave.

    An interval in which a child stood behind the parent and lacks a reading is left out: it is not known. Where no
    child stood, the parent's readings stay as they are. Elsewhere either direction is what is left net, on the longest
    of the intervals of parent and children.

    :raises packing.Unpackable: the intervals lie on grids that do not fit into each other.
    """
    shared = np.zeros(len(parent), dtype=bool)
    for child in children:
        shared |= (parent.starts >= child.starts) & (parent.starts < child.ends)
    if not bool(shared.any()):
        return parent
    return join([_chosen(parent, ~shared), _left(parent=_chosen(parent, shared), children=children)])


def join(parts: Sequence[usage.Consumption]) -> usage.Consumption:
    """Return intervals that do not overlap as one, ascending."""
    joined = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("starts", "seconds", "delivered_milli_wh", "received_milli_wh", "qualities")
    ]
    order = np.argsort(joined[0], kind="stable")
    return usage.Consumption(*(column[order] for column in joined))


def is_cycle(*, parents: Mapping[int, Sequence[int]], parent: int, child: int) -> bool:
    """Say whether a child that stood behind a parent would stand behind itself; `parents` of each point as they are."""
    seen: set[int] = set()
    above = [parent]
    while above:
        point = above.pop()
        if point == child:
            return True
        if point not in seen:
            seen.add(point)
            above += parents.get(point, ())
    return False


def _left(*, parent: usage.Consumption, children: Sequence[Child]) -> usage.Consumption:
    reads = [parent, *(_within(child) for child in children)]
    who = np.concatenate([np.full(len(read), place, dtype=np.int64) for place, read in enumerate(reads)])
    starts = np.concatenate([read.starts for read in reads])
    seconds = np.concatenate([read.seconds for read in reads])
    nets = np.concatenate([_net(read) if place == 0 else -_net(read) for place, read in enumerate(reads)])
    codes = np.concatenate([read.qualities for read in reads])
    order = np.lexsort((-seconds, starts))
    who, starts, seconds, nets, codes = who[order], starts[order], seconds[order], nets[order], codes[order]
    ends = np.maximum.accumulate(starts + seconds)
    is_first = np.append(True, starts[1:] >= ends[:-1])
    group, firsts = np.cumsum(is_first) - 1, np.flatnonzero(is_first)
    if bool((starts + seconds > (starts + seconds)[firsts][group]).any()):
        raise packing.Unpackable("The meters behind this one read on grids that do not fit into its own.")
    covered = np.zeros((len(firsts), len(reads)), dtype=np.int64)
    np.add.at(covered, (group, who), seconds)
    begins, lengths = starts[firsts], seconds[firsts]
    is_known = covered[:, 0] == lengths
    for place, child in enumerate(children, start=1):
        stands = (begins >= child.starts) & (begins < child.ends)
        is_known &= ~stands | (covered[:, place] == lengths)
    left = np.add.reduceat(nets, firsts)[is_known]
    return usage.Consumption(
        starts=begins[is_known],
        seconds=lengths[is_known],
        delivered_milli_wh=np.maximum(left, 0),
        received_milli_wh=np.maximum(-left, 0),
        qualities=np.maximum.reduceat(codes, firsts)[is_known],
    )


def _net(read: usage.Consumption) -> packing.Int64s:
    return read.delivered_milli_wh - read.received_milli_wh


def _within(child: Child) -> usage.Consumption:
    return _chosen(child.read, (child.read.starts >= child.starts) & (child.read.starts < child.ends))


def _chosen(read: usage.Consumption, mask: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> usage.Consumption:
    return usage.Consumption(
        read.starts[mask],
        read.seconds[mask],
        read.delivered_milli_wh[mask],
        read.received_milli_wh[mask],
        read.qualities[mask],
    )
