"""A person takes their usage with them: as comma-separated values, or as a Green Button file (Download My Data)."""

import datetime
import itertools
from collections.abc import Iterator
from urllib.parse import quote

from meters.domain import espi_xml, units, usage, usage_csv
from meters.usecases import show_usage

_ROOT = "/espi/1_1/resource"


def csv(*, place: show_usage.Place) -> Iterator[str]:
    """Yield a place's intervals as CSV, then what was read over spans longer than a day; see `meters.domain.usage_csv`.

    :raises meters.queries.UnableToReadUsage: see `meters.queries.get_consumption`.
    """
    parts = itertools.chain(show_usage.stream(place=place), [show_usage.periods(place=place)])
    return usage_csv.write(parts=parts, zone=place.zone)


def green_button(*, place: show_usage.Place, now: datetime.datetime) -> Iterator[str]:
    """Yield a place's intervals as an ESPI 4.0 feed, one IntervalBlock a month and direction.

    Spans longer than a day are readings of their own, apart from the intervals, which they may hold.
    The usage point bears the service point's number. What was given to the grid is there if anything was.

    :raises meters.queries.UnableToReadUsage: see `meters.queries.get_consumption`.
    """
    point = f"{_ROOT}/UsagePoint/{quote(place.point.number, safe='')}"
    zone_href = f"{_ROOT}/LocalTimeParameters/1"

    def entry(href: str, title: str, content: str, *related: str) -> str:
        up = href.rpartition("/")[0]
        return espi_xml.Entry(
            href=href, up=up, title=title, content=content, published=now, updated=now, related=related
        ).to_xml()

    yield espi_xml.open_feed(href=point, title=f"Usage of {place.point.number}", updated=now)
    yield entry(
        zone_href,
        place.zone.key,
        espi_xml.local_time_parameters(zone=place.zone, year=now.year),
    )
    yield entry(
        point, place.point.number, espi_xml.usage_point(), f"{point}/MeterReading", f"{_ROOT}/LocalTimeParameters/1"
    )
    defaults: dict[units.Flow, units.Quality] = {}
    for part in show_usage.stream(place=place):
        for flow in _flows(part):
            reading = f"{point}/MeterReading/{flow.value}"
            if flow not in defaults:
                defaults[flow] = espi_xml.default_quality(part.qualities)
                kind = f"{_ROOT}/ReadingType/{flow.value}"
                content = espi_xml.reading_type(flow=flow, quality=defaults[flow], seconds=part.seconds)
                yield entry(kind, f"Energy {flow.value}", content)
                yield entry(reading, f"Energy {flow.value}", espi_xml.meter_reading(), f"{reading}/IntervalBlock", kind)
            yield entry(
                f"{reading}/IntervalBlock/{int(part.starts[0])}",
                f"Energy {flow.value}",
                espi_xml.interval_block(read=part, flow=flow, default=defaults[flow]),
            )
    spans = show_usage.periods(place=place)
    for flow in _flows(spans):
        column = spans.received_milli_wh if flow is units.Flow.RECEIVED else spans.delivered_milli_wh
        read = spans.chosen(column > 0)
        if len(read):
            reading, kind = f"{point}/MeterReading/{flow.value}-spans", f"{_ROOT}/ReadingType/{flow.value}-spans"
            title, default = f"Energy {flow.value} by span", espi_xml.default_quality(read.qualities)
            yield entry(kind, title, espi_xml.reading_type(flow=flow, quality=default, seconds=read.seconds))
            yield entry(reading, title, espi_xml.meter_reading(), f"{reading}/IntervalBlock", kind)
            block = espi_xml.interval_block(read=read, flow=flow, default=default)
            yield entry(f"{reading}/IntervalBlock/{int(read.starts[0])}", title, block)
    yield espi_xml.CLOSE_FEED


def _flows(part: usage.Consumption) -> list[units.Flow]:
    if not len(part):
        return []
    return [units.Flow.DELIVERED, units.Flow.RECEIVED] if part.has_received else [units.Flow.DELIVERED]
