"""Which local days of a service point a person may see: those on which an account of theirs took service."""

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True, slots=True)
class DayRange:
    """Local days `[first, after)`; `after` is None when open."""

    first: datetime.date
    after: datetime.date | None


def clip(
    *, ranges: list[DayRange] | None, first: datetime.date, after: datetime.date
) -> list[tuple[datetime.date, datetime.date]]:
    """Return the parts of `[first, after)` that the ranges allow, ascending; all of it when `ranges` is None."""
    if ranges is None:
        return [(first, after)]
    parts = [
        (max(first, allowed.first), after if allowed.after is None else min(after, allowed.after)) for allowed in ranges
    ]
    merged: list[tuple[datetime.date, datetime.date]] = []
    for start, end in sorted(part for part in parts if part[0] < part[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
