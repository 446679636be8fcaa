"""Usage told no finer than somebody may know it."""

import datetime
import zoneinfo

import numpy as np

from meters.domain import units, usage


def coarsen(*, read: usage.Consumption, seconds: int, zone: zoneinfo.ZoneInfo) -> usage.Consumption:
    """Return intervals of at least `seconds`, on the grid of the zone's clock; longer ones stay as they are.

    Energy is added up; the quality is that of the parts, or MIXED where they differ. A longer interval that lacks a
    part is left out: half an hour's energy is not an hour's.
    """
    if not len(read) or int(read.seconds.min()) >= seconds:
        return read
    offset = datetime.datetime.fromtimestamp(int(read.starts[0]), tz=zone).utcoffset() or datetime.timedelta()
    shift = int(offset.total_seconds())
    slots = (read.starts + shift) // seconds
    is_first = np.append(True, np.diff(slots) != 0)
    firsts = np.flatnonzero(is_first)
    covered = np.add.reduceat(read.seconds, firsts)
    begins = slots[firsts] * seconds - shift
    is_long = read.seconds[firsts] >= seconds
    is_whole = is_long | ((covered == seconds) & (read.starts[firsts] == begins))
    lowest, highest = np.minimum.reduceat(read.qualities, firsts), np.maximum.reduceat(read.qualities, firsts)
    return usage.Consumption(
        starts=np.where(is_long, read.starts[firsts], begins)[is_whole],
        seconds=np.where(is_long, read.seconds[firsts], seconds)[is_whole],
        delivered_milli_wh=np.add.reduceat(read.delivered_milli_wh, firsts)[is_whole],
        received_milli_wh=np.add.reduceat(read.received_milli_wh, firsts)[is_whole],
        qualities=np.where(lowest == highest, lowest, units.Quality.MIXED).astype(np.uint8)[is_whole],
    )
