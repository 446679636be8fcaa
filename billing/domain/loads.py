"""What was used, interval by interval, as rating takes it."""

import dataclasses
import datetime
import zoneinfo
from typing import Self

import numpy as np
import numpy.typing as npt

type Int64s = npt.NDArray[np.int64]

MILLIWATT_HOURS_PER_KWH = 10**6
SECONDS_PER_HOUR = 3600


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class IntervalSeries:
    """Energy per interval, in whole mWh (thousandths of a Wh).

    `starts` are epoch seconds, ascending; `seconds` is the length of each interval. `import_milliwh` is what the
    customer took, `export_milliwh` what they gave, both never negative; `reactive_millivarh` is thousandths of a varh.
    `price_nano` is the real-time price of each interval per kWh, where the tariff has one.
    """

    starts: Int64s
    seconds: Int64s
    import_milliwh: Int64s
    export_milliwh: Int64s | None = None
    reactive_millivarh: Int64s | None = None
    price_nano: Int64s | None = None

    def __post_init__(self) -> None:
        if not len(self.starts) == len(self.seconds) == len(self.import_milliwh):
            raise ValueError("Starts, lengths and energies are of one length.")
        if len(self.starts) > 1 and bool((np.diff(self.starts) < self.seconds[:-1]).any()):
            raise ValueError("Intervals ascend and do not overlap.")

    @classmethod
    def regular(
        cls,
        *,
        starts_at: datetime.datetime,
        interval_seconds: int,
        import_milliwh: Int64s,
        export_milliwh: Int64s | None = None,
    ) -> Self:
        """Return intervals of one length that follow each other without a gap."""
        count = len(import_milliwh)
        starts = int(starts_at.timestamp()) + interval_seconds * np.arange(count, dtype=np.int64)
        return cls(
            starts=starts,
            seconds=np.full(count, interval_seconds, dtype=np.int64),
            import_milliwh=np.asarray(import_milliwh, dtype=np.int64),
            export_milliwh=export_milliwh,
        )

    def __len__(self) -> int:
        return len(self.starts)

    def between(self, *, starts: int, ends: int) -> "IntervalSeries":
        """Return the intervals that start in `[starts, ends)`, epoch seconds."""
        first, last = np.searchsorted(self.starts, [starts, ends])
        chosen = slice(int(first), int(last))
        return IntervalSeries(
            starts=self.starts[chosen],
            seconds=self.seconds[chosen],
            import_milliwh=self.import_milliwh[chosen],
            export_milliwh=None if self.export_milliwh is None else self.export_milliwh[chosen],
            reactive_millivarh=None if self.reactive_millivarh is None else self.reactive_millivarh[chosen],
            price_nano=None if self.price_nano is None else self.price_nano[chosen],
        )

    @property
    def net_milliwh(self) -> Int64s:
        """Return what was taken less what was given, per interval."""
        return self.import_milliwh if self.export_milliwh is None else self.import_milliwh - self.export_milliwh


@dataclasses.dataclass(frozen=True, slots=True)
class BillingPeriod:
    """Local days `[starts_on, ends_on)` of a utility."""

    starts_on: datetime.date
    ends_on: datetime.date
    zone: zoneinfo.ZoneInfo

    def __post_init__(self) -> None:
        if self.ends_on <= self.starts_on:
            raise ValueError("A billing period ends after it starts.")

    @property
    def days(self) -> int:
        """Return the number of local days."""
        return (self.ends_on - self.starts_on).days

    @property
    def starts(self) -> int:
        """Return the first instant, epoch seconds."""
        return _midnight(day=self.starts_on, zone=self.zone)

    @property
    def ends(self) -> int:
        """Return the first instant after the period, epoch seconds."""
        return _midnight(day=self.ends_on, zone=self.zone)

    def days_by_month(self) -> tuple[tuple[int, int, int], ...]:
        """Return (year, month, days of the period in it) for each calendar month touched, in order."""
        months: list[tuple[int, int, int]] = []
        day = self.starts_on
        while day < self.ends_on:
            following = datetime.date(day.year + day.month // 12, day.month % 12 + 1, 1)
            last = min(following, self.ends_on)
            months.append((day.year, day.month, (last - day).days))
            day = last
        return tuple(months)


def _midnight(*, day: datetime.date, zone: zoneinfo.ZoneInfo) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), tzinfo=zone).timestamp())
