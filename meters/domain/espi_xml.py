"""Writes ESPI 4.0 resources (NAESB REQ.21) as Atom: usage points, readings, blocks, local time.

Energy is written in thousandths of a Wh (`powerOfTenMultiplier` -3), so that whoever reads it again has the same sums.
Elements stand in the order of ESPI's schema.
"""

import collections
import dataclasses
import datetime
import functools
import uuid
import zoneinfo
from collections.abc import Iterable, Sequence
from xml.sax import saxutils

import numpy as np

from meters.domain import packing, units, usage

MEDIA_TYPE = "application/atom+xml"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACES = 'xmlns="http://naesb.org/espi"'
_FLOWS = {units.Flow.DELIVERED: 1, units.Flow.RECEIVED: 19, units.Flow.NET: 4}
_QUALITIES = {
    units.Quality.VALID: 0,
    units.Quality.EDITED: 7,
    units.Quality.ESTIMATED: 8,
    units.Quality.LIKE_DAY: 8,
    units.Quality.PROFILED: 8,
    units.Quality.INTERPOLATED: 9,
    units.Quality.SUSPECT: 10,
    units.Quality.DERIVED: 11,
    units.Quality.PROJECTED: 12,
    units.Quality.MIXED: 13,
    units.Quality.RAW: 14,
}
_OTHER_QUALITY = 16
_NO_RULE = "FFFFFFFF"
_LAST = 7
_DAYS_A_WEEK = 7
_YEARS_SEEN = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """An Atom entry about one resource; `content` is its XML."""

    href: str
    up: str
    title: str
    content: str
    published: datetime.datetime
    updated: datetime.datetime
    related: tuple[str, ...] = ()

    def to_xml(self) -> str:
        """Return the entry; its id follows from its address."""
        links = "".join(
            f'<link rel="{relation}" href={saxutils.quoteattr(href)}/>'
            for relation, href in [("self", self.href), ("up", self.up), *(("related", one) for one in self.related)]
        )
        return (
            f"<entry><id>{identity(self.href)}</id>{links}<title>{saxutils.escape(self.title)}</title>"
            f"<content>{self.content}</content><published>{instant(self.published)}</published>"
            f"<updated>{instant(self.updated)}</updated></entry>\n"
        )


def open_feed(*, href: str, title: str, updated: datetime.datetime) -> str:
    """Return the beginning of a feed, up to its first entry."""
    return (
        f'{XML}<feed xmlns="http://www.w3.org/2005/Atom"><id>{identity(href)}</id>'
        f"<title>{saxutils.escape(title)}</title><updated>{instant(updated)}</updated>"
        f'<link rel="self" href={saxutils.quoteattr(href)}/>\n'
    )


CLOSE_FEED = "</feed>\n"


def alone(entry: Entry) -> str:
    """Return a document that is one entry."""
    return XML + entry.to_xml().replace("<entry>", '<entry xmlns="http://www.w3.org/2005/Atom">', 1)


def element(name: str, children: Iterable[tuple[str, object | None]]) -> str:
    """Return a resource of plain elements, those without a value left out."""
    inner = "".join(f"<{tag}>{saxutils.escape(str(value))}</{tag}>" for tag, value in children if value is not None)
    return f"<{name} {_NAMESPACES}>{inner}</{name}>"


def usage_point() -> str:
    """Return a UsagePoint of electricity."""
    return f"<UsagePoint {_NAMESPACES}><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>"


def meter_reading() -> str:
    """Return a MeterReading; what it is stands in its ReadingType."""
    return f"<MeterReading {_NAMESPACES}/>"


def default_quality(qualities: packing.Bytes) -> units.Quality:
    """Return the most frequent quality, which need not be said of each reading."""
    if not len(qualities):
        return units.Quality.RAW
    return units.Quality(collections.Counter(qualities.tolist()).most_common(1)[0][0])


def reading_type(*, flow: units.Flow, quality: units.Quality, seconds: packing.Int64s) -> str:
    """Return a ReadingType of energy per interval; the length is said where there is one."""
    lengths = np.unique(seconds)
    return element(
        "ReadingType",
        [
            ("accumulationBehaviour", 4),
            ("commodity", 1),
            ("dataQualifier", 12),
            ("defaultQuality", _quality(quality)),
            ("flowDirection", _FLOWS[flow]),
            ("intervalLength", int(lengths[0]) if len(lengths) == 1 else None),
            ("kind", 12),
            ("powerOfTenMultiplier", -3),
            ("uom", 72),
        ],
    )


def interval_block(*, read: usage.Consumption, flow: units.Flow, default: units.Quality) -> str:
    """Return an IntervalBlock of the energy that went one way; readings of another quality than `default` say so.

    The block reaches from its first interval to the end of its last.
    """
    values = read.received_milli_wh if flow is units.Flow.RECEIVED else read.delivered_milli_wh
    starts = read.starts.tolist()
    seconds = read.seconds.tolist()
    stated = {
        code: ""
        if code == default
        else f"<ReadingQuality><quality>{_quality(units.Quality(code))}</quality></ReadingQuality>"
        for code in np.unique(read.qualities).tolist()
    }
    readings = "".join(
        f"<IntervalReading>{stated[code]}<timePeriod><duration>{length}</duration><start>{start}</start></timePeriod>"
        f"<value>{value}</value></IntervalReading>"
        for start, length, value, code in zip(starts, seconds, values.tolist(), read.qualities.tolist(), strict=True)
    )
    span = f"<interval><duration>{starts[-1] + seconds[-1] - starts[0]}</duration><start>{starts[0]}</start></interval>"
    return f"<IntervalBlock {_NAMESPACES}>{span}{readings}</IntervalBlock>"


@functools.lru_cache(maxsize=256)
def local_time_parameters(*, zone: zoneinfo.ZoneInfo, year: int) -> str:
    """Return LocalTimeParameters: the zone's offset, and its rules of daylight saving as they hold from a year on.

    A zone whose clock changes by no such rule, as Morocco's does by the moon, says that it has none.
    """
    starts, ends, saving, offset = _rules(zone=zone, year=year)
    return element(
        "LocalTimeParameters",
        [("dstEndRule", ends), ("dstOffset", saving), ("dstStartRule", starts), ("tzOffset", offset)],
    )


def identity(href: str) -> str:
    """Return a resource's id for ever: a UUID made of its address."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, href)}"


def instant(at: datetime.datetime) -> str:
    """Return an instant in UTC to the second."""
    return at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quality(quality: units.Quality) -> int:
    return _QUALITIES.get(quality, _OTHER_QUALITY)


def _rules(*, zone: zoneinfo.ZoneInfo, year: int) -> tuple[str, str, int, int]:
    """Return the start and end rules of daylight saving as ESPI packs them, what is added, and the standard offset."""
    begun: list[datetime.datetime] = []
    ended: list[datetime.datetime] = []
    saving = 0
    for at, before, after in _changes(zone=zone, year=year):
        (begun if after > before else ended).append(datetime.datetime.fromtimestamp(at + before, tz=datetime.UTC))
        saving = max(saving, after - before)
    rules = (_rule(begun), _rule(ended))
    offset = _offset(at=int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp()), zone=zone)
    if None in rules:
        return _NO_RULE, _NO_RULE, 0, offset
    in_july = _offset(at=int(datetime.datetime(year, 7, 1, tzinfo=datetime.UTC).timestamp()), zone=zone)
    return rules[0] or _NO_RULE, rules[1] or _NO_RULE, saving, min(offset, in_july)


def _changes(*, zone: zoneinfo.ZoneInfo, year: int) -> list[tuple[int, int, int]]:
    """Return when the clock changes in the years seen (epoch seconds), with its offsets before and after."""
    found = []
    at = int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp())
    end = int(datetime.datetime(year + _YEARS_SEEN, 1, 1, tzinfo=datetime.UTC).timestamp())
    before = _offset(at=at, zone=zone)
    for day in range(at, end, packing.SECONDS_PER_DAY):
        after = _offset(at=day + packing.SECONDS_PER_DAY, zone=zone)
        if after != before:
            low, high = day, day + packing.SECONDS_PER_DAY
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if _offset(at=middle, zone=zone) != before else (middle, high)
            found.append((high, before, after))
        before = after
    return found


def _offset(*, at: int, zone: zoneinfo.ZoneInfo) -> int:
    offset = datetime.datetime.fromtimestamp(at, tz=zone).utcoffset() or datetime.timedelta()
    return int(offset.total_seconds())


def _rule(walls: Sequence[datetime.datetime]) -> str | None:
    """Return month, which of its weekdays, hour and second, in 32 bits (ESPI, DstRuleType); None for no one rule."""
    if len({(wall.month, wall.isoweekday(), wall.time()) for wall in walls}) != 1:
        return None
    first = walls[0]
    ordinals = {(wall.day - 1) // _DAYS_A_WEEK for wall in walls}
    is_last = all((wall + datetime.timedelta(days=_DAYS_A_WEEK)).month != wall.month for wall in walls)
    if not is_last and len(ordinals) != 1:
        return None
    operator = _LAST if is_last else min(ordinals) + 2
    seconds = first.minute * 60 + first.second
    return f"{first.month << 28 | operator << 25 | first.isoweekday() << 17 | first.hour << 12 | seconds:08X}"
