"""Half-open periods of aware instants, and the local days and months of a utility."""

import dataclasses
import datetime
import zoneinfo


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """`[starts_at, ends_at)`, both aware.

    :raises ValueError: when an end is naive or the period does not go forward.
    """

    starts_at: datetime.datetime
    ends_at: datetime.datetime

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is None or self.ends_at.tzinfo is None:
            raise ValueError("A period needs aware instants.")
        if self.ends_at <= self.starts_at:
            raise ValueError("A period ends after it starts.")

    def __contains__(self, instant: datetime.datetime) -> bool:
        return self.starts_at <= instant < self.ends_at

    @property
    def duration(self) -> datetime.timedelta:
        """Return the elapsed time, which on a day of daylight saving is 23 or 25 hours."""
        return self.ends_at.astimezone(datetime.UTC) - self.starts_at.astimezone(datetime.UTC)

    def overlaps(self, other: "Period") -> bool:
        """Say whether the two share any instant."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


def local_midnight(*, day: datetime.date, zone: zoneinfo.ZoneInfo) -> datetime.datetime:
    """Return the first instant of a local day."""
    return datetime.datetime.combine(day, datetime.time(), tzinfo=zone)


def day_period(*, day: datetime.date, zone: zoneinfo.ZoneInfo) -> Period:
    """Return a local day: 23, 24 or 25 hours long."""
    return Period(local_midnight(day=day, zone=zone), local_midnight(day=day + datetime.timedelta(days=1), zone=zone))


def days_period(*, first: datetime.date, last: datetime.date, zone: zoneinfo.ZoneInfo) -> Period:
    """Return the local days from `first` to `last`, both included."""
    return Period(
        local_midnight(day=first, zone=zone), local_midnight(day=last + datetime.timedelta(days=1), zone=zone)
    )


def month_period(*, year: int, month: int, zone: zoneinfo.ZoneInfo) -> Period:
    """Return a local calendar month."""
    following = datetime.date(year + month // 12, month % 12 + 1, 1)
    return Period(
        local_midnight(day=datetime.date(year, month, 1), zone=zone), local_midnight(day=following, zone=zone)
    )
