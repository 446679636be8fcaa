"""What a device measured, as plain values."""

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """Energy of `[starts_at, starts_at + seconds)` in whole Wh, both directions counted up from zero."""

    starts_at: datetime.datetime
    seconds: int
    delivered_wh: int
    received_wh: int

    @property
    def net_wh(self) -> int:
        """Return consumption: positive into the device, negative out of it."""
        return self.delivered_wh - self.received_wh

    @property
    def ends_at(self) -> datetime.datetime:
        """Return the first instant after the interval."""
        return self.starts_at + datetime.timedelta(seconds=self.seconds)


def from_net(*, starts_at: datetime.datetime, seconds: int, net_wh: int) -> Interval:
    """Return the interval of a device whose two directions never run in the same interval."""
    return Interval(starts_at=starts_at, seconds=seconds, delivered_wh=max(net_wh, 0), received_wh=max(-net_wh, 0))
