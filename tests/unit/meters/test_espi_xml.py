"""What is written as Green Button is valid ESPI 4.0, and read again it is the same."""

import datetime
import io
import os
import zoneinfo

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from lxml import etree

from meters.adapters import espi, green_button
from meters.domain import espi_xml, units, usage

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
AT = datetime.datetime(2026, 7, 1, 9, 12, tzinfo=datetime.UTC)
ROOT = "/espi/1_1/resource"
WRITTEN_QUALITIES = [code for code in units.Quality if code not in {units.Quality.MISSING} | units.ESTIMATES]


@strategies.composite
def consumptions(draw: strategies.DrawFn) -> usage.Consumption:
    """Return some hours of one length of interval, with holes, in both directions and of any quality."""
    seconds = draw(strategies.sampled_from([60, 300, 900, 1800, 3600]))
    slots = sorted(draw(strategies.sets(strategies.integers(0, 400), min_size=1, max_size=60)))
    energy = strategies.integers(0, 10**12)
    values = [(draw(energy), draw(energy), draw(strategies.sampled_from(WRITTEN_QUALITIES))) for _ in slots]
    return usage.Consumption(
        starts=1_780_000_200 // seconds * seconds + seconds * np.array(slots, dtype=np.int64),
        seconds=np.full(len(slots), seconds, dtype=np.int64),
        delivered_milli_wh=np.array([value[0] for value in values], dtype=np.int64),
        received_milli_wh=np.array([value[1] for value in values], dtype=np.int64),
        qualities=np.array([value[2] for value in values], dtype=np.uint8),
    )


def feed(read: usage.Consumption) -> bytes:
    """Return a feed of one usage point with both directions."""
    point = f"{ROOT}/UsagePoint/SP-1"

    def entry(href: str, content: str, *related: str) -> str:
        return espi_xml.Entry(
            href=href,
            up=href.rpartition("/")[0],
            title="T",
            content=content,
            published=AT,
            updated=AT,
            related=related,
        ).to_xml()

    default = espi_xml.default_quality(read.qualities)
    text = espi_xml.open_feed(href=point, title="A & B", updated=AT) + entry(point, espi_xml.usage_point())
    for flow in (units.Flow.DELIVERED, units.Flow.RECEIVED):
        reading, kind = f"{point}/MeterReading/{flow.value}", f"{ROOT}/ReadingType/{flow.value}"
        text += entry(kind, espi_xml.reading_type(flow=flow, quality=default, seconds=read.seconds))
        text += entry(reading, espi_xml.meter_reading(), f"{reading}/IntervalBlock", kind)
        text += entry(f"{reading}/IntervalBlock/1", espi_xml.interval_block(read=read, flow=flow, default=default))
    return (text + espi_xml.CLOSE_FEED).encode()


def assert_valid(document: bytes) -> int:
    """Check every resource of a document against ESPI's schema; return how many there are."""
    root = etree.fromstring(document)
    resources = [child for content in root.iter(f"{espi.ATOM}content") for child in content]
    for resource in resources:
        espi.schema().assertValid(resource)
    return len(resources)


@hypothesis.settings(max_examples=EXAMPLES, deadline=None)
@hypothesis.given(consumptions())
def test_read_again_it_is_the_same(read: usage.Consumption) -> None:
    document = feed(read)

    delivered = green_button.read(stream=io.BytesIO(document))

    assert delivered.warnings == ()
    by_flow = {channel.flow: channel.series[0] for channel in delivered.channels}
    for flow, column in (
        (units.Flow.DELIVERED, read.delivered_milli_wh),
        (units.Flow.RECEIVED, read.received_milli_wh),
    ):
        series = by_flow[flow]
        assert series.starts.tolist() == read.starts.tolist()
        assert series.milli_units.tolist() == column.tolist()
        assert series.qualities.tolist() == read.qualities.tolist()


def test_every_resource_is_valid() -> None:
    starts = np.arange(1_780_000_200, 1_780_000_200 + 3600, 900, dtype=np.int64)
    read = usage.Consumption(
        starts=starts,
        seconds=np.full(4, 900, dtype=np.int64),
        delivered_milli_wh=np.array([1, 0, 5_000, 2**46], dtype=np.int64),
        received_milli_wh=np.zeros(4, dtype=np.int64),
        qualities=np.array(list(units.ESTIMATES)[:4], dtype=np.uint8),
    )

    assert assert_valid(feed(read)) == 7


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        # The two rules of the United States stand so in the utilities' own files (tests/data/meter/green_button).
        ("America/New_York", ("B40E2000", "3600", "360E2000", "-18000")),
        ("America/Phoenix", ("FFFFFFFF", "0", "FFFFFFFF", "-25200")),
        ("Europe/London", ("AE0E2000", "3600", "3E0E1000", "0")),
        ("Australia/Lord_Howe", ("440E2000", "1800", "A40E2000", "37800")),
        ("Africa/Casablanca", ("FFFFFFFF", "0", "FFFFFFFF", "3600")),
        ("Asia/Kolkata", ("FFFFFFFF", "0", "FFFFFFFF", "19800")),
    ],
)
def test_local_time_is_packed_as_the_schema_says(zone: str, expected: tuple[str, ...]) -> None:
    resource = etree.fromstring(espi_xml.local_time_parameters(zone=zoneinfo.ZoneInfo(zone), year=2026))

    espi.schema().assertValid(resource)
    assert tuple(child.text for child in resource) == expected


def test_an_entry_keeps_its_id_and_escapes_its_words() -> None:
    entry = espi_xml.Entry(href="/a?b=1&c=2", up="/", title="<script>", content="<x/>", published=AT, updated=AT)

    found = etree.fromstring(espi_xml.alone(entry).encode())

    assert found.findtext(f"{espi.ATOM}id") == espi_xml.identity("/a?b=1&c=2")
    assert found.findtext(f"{espi.ATOM}title") == "<script>"
    assert found.findtext(f"{espi.ATOM}updated") == "2026-07-01T09:12:00Z"
