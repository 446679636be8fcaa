"""The window in which a grant's spending is counted: the same as the contract's."""

import datetime


def started_at(*, starts_at: datetime.datetime, period_seconds: int, now: datetime.datetime) -> datetime.datetime:
    """Return when the period that `now` falls into began.

    Period k is `[starts_at + k * period_seconds, starts_at + (k + 1) * period_seconds)` with `starts_at` in whole
    seconds; zero `period_seconds` makes the grant's whole life one period (BillSessions.sol, `_spend`).

    :raises ValueError: `now` is before the grant starts.
    """
    first = int(starts_at.timestamp())
    elapsed = int(now.timestamp()) - first
    if elapsed < 0:
        raise ValueError("The grant has not started.")
    whole = elapsed // period_seconds * period_seconds if period_seconds else 0
    return datetime.datetime.fromtimestamp(first + whole, tz=datetime.UTC)
