"""Reads a Green Button file: an Atom feed of ESPI resources, streamed, checked against ESPI 4.0's schema.

Nothing is fetched and no entity is expanded; a document type declaration is refused. A resource whose elements
stand in the wrong order or are unknown is taken with a warning as long as what is needed can be read; a value of
the wrong type is refused with its place.
"""

import dataclasses
from typing import BinaryIO

from lxml import etree

from meters.adapters import espi
from meters.domain import delivery, packing, units

MAX_BYTES = 128 * 2**20
MAX_READINGS = 5_000_000
MAX_WARNINGS = 50
_PROLOGUE_BYTES = 64 * 2**10
_RETAIL_CUSTOMER_NAMESPACE = "http://naesb.org/espi/customer"
_ORDER_ERRORS = frozenset({"SCHEMAV_ELEMENT_CONTENT"})


@dataclasses.dataclass(slots=True)
class _Entry:
    """An Atom entry's links."""

    own: str
    up: str
    related: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class _Feed:
    """What was read so far."""

    points: dict[str, bool] = dataclasses.field(default_factory=dict)
    readings: dict[str, _Entry] = dataclasses.field(default_factory=dict)
    types: dict[str, espi.ReadingType] = dataclasses.field(default_factory=dict)
    blocks: list[tuple[_Entry, str, espi.Block]] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    offset: int | None = None
    count: int = 0

    def warn(self, warning: str) -> None:
        if len(self.warnings) < MAX_WARNINGS and warning not in self.warnings:
            self.warnings.append(warning)


def read(*, stream: BinaryIO, max_bytes: int = MAX_BYTES) -> delivery.Delivery:
    """Return every electricity reading of the file, by usage point and channel.

    :raises espi.UnableToReadGreenButton: malformed, truncated, too large, with a document type declaration, of
        another vocabulary, or with a value that is none; the detail names the element and the line.
    """
    feed = _Feed()
    bounded = _Bounded(stream, max_bytes)
    context = etree.iterparse(
        bounded,
        events=("start", "end"),
        tag=(f"{espi.ATOM}entry", f"{espi.ATOM}feed"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    number = 0
    root_tag: str | None = None
    try:
        for event, element in context:
            if root_tag is None:
                root_tag = _check_root(element)
            if event == "end" and element.tag == f"{espi.ATOM}entry":
                number += 1
                _take(feed, element, number)
                _forget(element)
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from error
    if root_tag is None:
        _check_root(context.root)
    return _assemble(feed)


class _Bounded:
    """A stream that ends with an error when it is longer than allowed, or begins with a document type."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream = stream
        self._left = most
        self._most = most
        self._at_start = True

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size if 0 <= size <= _PROLOGUE_BYTES else _PROLOGUE_BYTES)
        self._left -= len(chunk)
        if self._left < 0:
            raise espi.UnableToReadGreenButton(
                f"The file is larger than {self._most} bytes.", code="green_button_too_large"
            )
        if self._at_start and b"<!DOCTYPE" in chunk.replace(b"\0", b""):
            raise _declares_type()
        self._at_start = False
        return chunk


def _check_root(element: etree._Element | None) -> str:
    if element is None:
        raise espi.UnableToReadGreenButton("The file holds no element.", code="green_button_malformed")
    tree = element.getroottree()
    root = tree.getroot()
    if tree.docinfo.doctype:  # type: ignore[attr-defined]  # missing from the stubs
        raise _declares_type()
    tag = str(root.tag)
    if tag not in {f"{espi.ATOM}feed", f"{espi.ATOM}entry"}:
        raise espi.UnableToReadGreenButton(
            f"The root element is {_plain(tag)}, line {root.sourceline}; a Green Button file is an Atom feed "
            "(http://www.w3.org/2005/Atom).",
            code="green_button_wrong_namespace"
            if etree.QName(tag).localname in {"feed", "entry"}
            else "green_button_not_a_feed",
        )
    return tag


def _take(feed: _Feed, entry: etree._Element, number: int) -> None:
    links = _links(entry)
    for content in entry.iterchildren(f"{espi.ATOM}content"):
        for resource in content.iterchildren(tag=etree.Element):
            name = etree.QName(resource)
            where = f"/feed/entry[{number}]/content/{name.localname}"
            if name.namespace == _RETAIL_CUSTOMER_NAMESPACE:
                continue
            if name.namespace != espi.ESPI_NAMESPACE:
                raise espi.UnableToReadGreenButton(
                    f"{where} is in the namespace {name.namespace or 'none'}, line {resource.sourceline}; ESPI's is "
                    f"{espi.ESPI_NAMESPACE}.",
                    code="green_button_wrong_namespace",
                )
            _check_schema(feed, resource, where)
            _take_resource(feed, links, resource, name.localname, where)


def _take_resource(feed: _Feed, links: _Entry, resource: etree._Element, name: str, where: str) -> None:
    if name == "UsagePoint":
        feed.points[links.own] = espi.is_electricity(resource)
    elif name == "MeterReading":
        if links.own in feed.readings:
            feed.warn(f"{where}: a MeterReading with the address {links.own} came before; they are one.")
        feed.readings.setdefault(links.own, links)
    elif name == "ReadingType":
        kind = espi.reading_type(resource, where)
        if feed.types.setdefault(links.own, kind) != kind:
            feed.warn(f"{where}: another ReadingType has the address {links.own}; the first one holds.")
    elif name == "IntervalBlock":
        block = espi.interval_block(resource, where)
        feed.count += len(block.starts)
        if feed.count > MAX_READINGS:
            raise espi.UnableToReadGreenButton(
                f"{where}: the file holds more than {MAX_READINGS} readings.", code="green_button_too_large"
            )
        feed.blocks.append((links, next(reversed(feed.readings), ""), block))
    elif name == "LocalTimeParameters":
        feed.offset = espi.standard_offset(resource, where)


def _check_schema(feed: _Feed, resource: etree._Element, where: str) -> None:
    schema = espi.schema()
    if schema.validate(resource):
        return
    for error in schema.error_log:  # type: ignore[attr-defined]
        message = error.message.replace(espi.ESPI, "")
        if error.type_name not in _ORDER_ERRORS:
            raise espi.UnableToReadGreenButton(f"{where}, line {error.line}: {message}", code="green_button_value")
        feed.warn(f"{where}, line {error.line}: {message}")


def _assemble(feed: _Feed) -> delivery.Delivery:
    parts: dict[str, list[tuple[espi.Block, espi.ReadingType]]] = {}
    for links, latest, block in feed.blocks:
        reading = _reading_of(feed, links, latest)
        parts.setdefault(reading, []).append((block, _type_of(feed, reading, block)))
    found: list[delivery.ChannelReadings] = []
    for reading, blocks in parts.items():
        kind = blocks[0][1]
        point = _point_of(feed, reading)
        if not feed.points.get(point, True):
            feed.warn(f"{point} is not an electricity service; its readings are left out.")
        elif kind.unit is None or kind.flow is None or not kind.is_per_interval:
            feed.warn(
                f"{reading or 'A MeterReading'} is left out: uom {kind.uom}, flowDirection {kind.flow_direction}, "
                f"{'per interval' if kind.is_per_interval else 'a running register'}."
            )
        else:
            found.append(_channel(feed, point, reading, kind, blocks))
    return delivery.Delivery(
        channels=tuple(_without_copies(feed, found)),
        warnings=tuple(feed.warnings),
        standard_offset_seconds=feed.offset,
    )


def _channel(
    feed: _Feed,
    point: str,
    reading: str,
    kind: espi.ReadingType,
    blocks: list[tuple[espi.Block, espi.ReadingType]],
) -> delivery.ChannelReadings:
    assert kind.unit is not None and kind.flow is not None  # noqa: PT018, S101 - checked by the caller
    try:
        assembled = delivery.assemble(
            parts=[espi.to_columns(block=block, kind=own) for block, own in blocks], name=reading
        )
    except packing.Unpackable as error:
        is_value = isinstance(error, packing.OutOfRange)
        raise espi.UnableToReadGreenButton(
            f"{blocks[0][0].where} and what follows it: {error}",
            code="green_button_value" if is_value else "green_button_overlap",
        ) from error
    for warning in assembled.warnings:
        feed.warn(warning)
    if kind.flow is not units.Flow.NET and any(len(s) and int(s.milli_units.min()) < 0 for s in assembled.series):
        feed.warn(f"{reading}: negative values in a channel that is not net.")
    return delivery.ChannelReadings(
        usage_point=point,
        key="",
        flow=kind.flow,
        unit=kind.unit,
        series=assembled.series,
        periods=assembled.periods,
        conflicts=assembled.conflicts,
    )


def _without_copies(feed: _Feed, channels: list[delivery.ChannelReadings]) -> list[delivery.ChannelReadings]:
    """Let the finest of several readings of one quantity count, and keep the others beside it by their length."""
    groups: dict[tuple[str, units.Flow, units.Unit], list[delivery.ChannelReadings]] = {}
    for channel in channels:
        groups.setdefault((channel.usage_point, channel.flow, channel.unit), []).append(channel)
    kept: list[delivery.ChannelReadings] = []
    for group in groups.values():
        finest, *others = sorted(group, key=_length)
        kept.append(finest)
        for number, other in enumerate(others, start=2):
            feed.warn(
                f"{other.usage_point or 'The usage point'} delivers {other.flow.value} {other.unit.value} "
                f"{len(group)} times; the readings of {_length(finest)} seconds count, the others are kept beside them."
            )
            kept.append(dataclasses.replace(other, key=f"{number}/{_length(other)}s", is_counted=False))
    return kept


def _length(channel: delivery.ChannelReadings) -> int:
    lengths = [series.interval_seconds for series in channel.series]
    return min(lengths) if lengths else min(period.ends - period.starts for period in channel.periods)


def _reading_of(feed: _Feed, links: _Entry, latest: str) -> str:
    for candidate in (links.up.removesuffix("/IntervalBlock"), links.own.rpartition("/IntervalBlock")[0]):
        if candidate in feed.readings:
            return candidate
    for own, entry in feed.readings.items():
        if links.up in entry.related or links.own in entry.related:
            return own
    if len(feed.readings) > 1:
        feed.warn(f"An IntervalBlock at {links.own} names no MeterReading; it is taken for the one before it.")
    return latest


def _type_of(feed: _Feed, reading: str, block: espi.Block) -> espi.ReadingType:
    entry = feed.readings.get(reading)
    for related in entry.related if entry else ():
        if related in feed.types:
            return feed.types[related]
    if len(feed.types) == 1:
        return next(iter(feed.types.values()))
    raise espi.UnableToReadGreenButton(
        f"{block.where}: the file holds no ReadingType for {reading or 'its MeterReading'}, so its unit is unknown.",
        code="green_button_incomplete",
    )


def _point_of(feed: _Feed, reading: str) -> str:
    entry = feed.readings.get(reading)
    candidates = (entry.up.removesuffix("/MeterReading") if entry else "", reading.rpartition("/MeterReading")[0])
    for candidate in candidates:
        if candidate in feed.points:
            return candidate
    return next(iter(feed.points)) if len(feed.points) == 1 else candidates[0] or candidates[1]


def _links(entry: etree._Element) -> _Entry:
    links: dict[str, list[str]] = {}
    for link in entry.iterchildren(f"{espi.ATOM}link"):
        links.setdefault(link.get("rel") or "", []).append((link.get("href") or "").strip().rstrip("/"))
    own = links.get("self", [""])[0]
    return _Entry(
        own=own or (entry.findtext(f"{espi.ATOM}id") or "").strip(),
        up=links.get("up", [""])[0],
        related=tuple(links.get("related", [])),
    )


def _forget(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _malformed(error: etree.XMLSyntaxError) -> espi.UnableToReadGreenButton:
    message = error.msg or "not XML"
    is_cut = "Premature end" in message or "Document is empty" in message or "EndTag" in message
    return espi.UnableToReadGreenButton(
        f"Not well-formed XML at line {error.lineno}, column {error.offset}: {message}",
        code="green_button_truncated" if is_cut else "green_button_malformed",
    )


def _declares_type() -> espi.UnableToReadGreenButton:
    return espi.UnableToReadGreenButton(
        "The file declares a document type (<!DOCTYPE>), which may hide entities; Green Button needs none.",
        code="green_button_document_type",
    )


def _plain(tag: str) -> str:
    name = etree.QName(tag)
    return f"{name.localname} ({name.namespace})" if name.namespace else name.localname
