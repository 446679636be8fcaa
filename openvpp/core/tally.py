"""What this process counts in memory until somebody writes it down: adding one must never wait for a database."""

import bisect
import collections
import threading
from collections.abc import Mapping, Sequence

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LONGEST_LABEL = 200

type Key = tuple[str, str]

_lock = threading.Lock()
_counts: collections.defaultdict[Key, float] = collections.defaultdict(float)


def note(name: str, label: str = "", *, count: float = 1) -> None:
    """Count something that happened; `label` tells its kinds apart, and there must be few of them."""
    with _lock:
        _counts[name, label[:LONGEST_LABEL]] += count


def note_seconds(name: str, seconds: float) -> None:
    """Count how long something took, in the class of its duration."""
    with _lock:
        for key, value in of_histogram(name, values={seconds: 1}, bounds=SECONDS).items():
            _counts[key] += value


def take() -> dict[Key, float]:
    """Return what was counted since this was last asked, and begin anew."""
    with _lock:
        taken = dict(_counts)
        _counts.clear()
    return taken


def give_back(counts: Mapping[Key, float]) -> None:
    """Count again what was taken and could not be written down."""
    with _lock:
        for key, value in counts.items():
            _counts[key] += value


def of_histogram(name: str, *, values: Mapping[float, int], bounds: Sequence[float]) -> dict[Key, float]:
    """Return the counters of a histogram: each class alone (not added up), and the sum.

    `values` says how often each value occurred; one equal to a bound belongs below it.
    """
    found: dict[Key, float] = {(f"{name}_sum", ""): 0.0}
    for value, count in values.items():
        at = bisect.bisect_left(bounds, value)
        label = f"{bounds[at]:g}" if at < len(bounds) else "+Inf"
        found[f"{name}_bucket", label] = found.get((f"{name}_bucket", label), 0) + count
        found[f"{name}_sum", ""] += value * count
    return found
