"""ESPI's resources (NAESB REQ.21, ESPI 4.0) as values: what a reading is in, which way it went, how good it is."""

import dataclasses
import functools
import pathlib
from typing import cast

import numpy as np
from lxml import etree

from meters.domain import delivery, packing, units
from openvpp.core import errors

ATOM = "{http://www.w3.org/2005/Atom}"
ESPI = "{http://naesb.org/espi}"
ESPI_NAMESPACE = "http://naesb.org/espi"

_UNITS = {
    "72": units.Unit.WATT_HOUR,
    "71": units.Unit.VOLT_AMPERE_HOUR,
    "73": units.Unit.VOLT_AMPERE_REACTIVE_HOUR,
    "38": units.Unit.WATT,
}
_FLOWS = {
    None: units.Flow.DELIVERED,
    "0": units.Flow.DELIVERED,
    "1": units.Flow.DELIVERED,
    "4": units.Flow.NET,
    "19": units.Flow.RECEIVED,
}
_PER_INTERVAL = {None, "0", "4", "6", "12"}  # AccumulationKind: delta, indicating, instantaneous
_QUALITIES = {
    "0": units.Quality.VALID,
    "7": units.Quality.EDITED,
    "8": units.Quality.ESTIMATED,
    "9": units.Quality.ESTIMATED,
    "10": units.Quality.SUSPECT,
    "11": units.Quality.DERIVED,
    "12": units.Quality.PROJECTED,
    "13": units.Quality.MIXED,
    "14": units.Quality.RAW,
    "15": units.Quality.EDITED,
    "16": units.Quality.MIXED,
    "17": units.Quality.VALID,
    "18": units.Quality.VALID,
    "19": units.Quality.VALID,
}
_MILLI = 3
_MOST_POWER = 18
_ELECTRICITY = "0"
_NAMESPACES = {"e": ESPI_NAMESPACE}
_VALUES = etree.XPath("e:IntervalReading/e:value/text()", namespaces=_NAMESPACES, smart_strings=False)
_STARTS = etree.XPath("e:IntervalReading/e:timePeriod/e:start/text()", namespaces=_NAMESPACES, smart_strings=False)
_LENGTHS = etree.XPath("e:IntervalReading/e:timePeriod/e:duration/text()", namespaces=_NAMESPACES, smart_strings=False)
_COUNT = etree.XPath("count(e:IntervalReading)", namespaces=_NAMESPACES)
_QUALITY_COUNT = etree.XPath("count(e:IntervalReading/e:ReadingQuality)", namespaces=_NAMESPACES)


class UnableToReadGreenButton(errors.Invalid):
    """The file cannot be taken; the detail says what is wrong and where, and `code` which kind of wrong it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReadingType:
    """What the values of a meter reading are. `unit` and `flow` are None when they are none of ours."""

    unit: units.Unit | None
    uom: str | None
    flow: units.Flow | None
    flow_direction: str | None
    multiplier: int
    interval_seconds: int | None
    is_per_interval: bool
    default_quality: units.Quality


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Block:
    """An IntervalBlock's columns; `seconds` is 0 and `qualities` MISSING where the reading type has to say."""

    starts: packing.Int64s
    seconds: packing.Int64s
    values: packing.Int64s
    qualities: packing.Bytes
    where: str


@functools.lru_cache(maxsize=1)
def schema() -> etree.XMLSchema:
    """Return ESPI 4.0's schema."""
    path = pathlib.Path(__file__).parent / "schemas" / "espi_4.0.xsd"
    return etree.XMLSchema(etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True)))


def is_electricity(resource: etree._Element) -> bool:
    """Say whether a UsagePoint delivers electricity; one that does not say so does."""
    kind = resource.findtext(f"{ESPI}ServiceCategory/{ESPI}kind")
    return kind is None or kind.strip() == _ELECTRICITY


def reading_type(resource: etree._Element, where: str) -> ReadingType:
    """Return a ReadingType.

    :raises UnableToReadGreenButton: a number is none.
    """
    uom = _text(resource, "uom")
    flow = _text(resource, "flowDirection")
    length = _text(resource, "intervalLength")
    return ReadingType(
        unit=_UNITS.get(uom or ""),
        uom=uom,
        flow=_FLOWS.get(flow),
        flow_direction=flow,
        multiplier=_whole(_text(resource, "powerOfTenMultiplier") or "0", f"{where}/powerOfTenMultiplier", resource),
        interval_seconds=None if length is None else _whole(length, f"{where}/intervalLength", resource),
        is_per_interval=_text(resource, "accumulationBehaviour") in _PER_INTERVAL,
        default_quality=_QUALITIES.get(_text(resource, "defaultQuality") or "14", units.Quality.RAW),
    )


def standard_offset(resource: etree._Element, where: str) -> int | None:
    """Return LocalTimeParameters' offset from UTC without daylight saving, in seconds."""
    text = _text(resource, "tzOffset")
    return None if text is None else _whole(text, f"{where}/tzOffset", resource)


def interval_block(resource: etree._Element, where: str) -> Block:
    """Return the columns of an IntervalBlock: all at once where every reading is complete, else one by one.

    :raises UnableToReadGreenButton: a reading lacks its value or its time, or a number is none.
    """
    count = int(cast("float", _COUNT(resource)))
    values, starts, lengths = (cast("list[str]", find(resource)) for find in (_VALUES, _STARTS, _LENGTHS))
    if not _QUALITY_COUNT(resource) and len(values) == len(starts) == len(lengths) == count:
        try:
            columns = [np.array(column).astype(np.int64) for column in (starts, lengths, values)]
        except (ValueError, OverflowError):
            return _one_by_one(resource, where)
        return Block(columns[0], columns[1], columns[2], np.zeros(count, dtype=np.uint8), where)
    return _one_by_one(resource, where)


def to_columns(*, block: Block, kind: ReadingType) -> delivery.Columns:
    """Return a block's readings in thousandths of the unit.

    :raises UnableToReadGreenButton: a reading has no length, or is finer than a thousandth of the unit.
    """
    seconds = block.seconds
    if bool((seconds == 0).any()):
        if kind.interval_seconds is None:
            raise UnableToReadGreenButton(
                f"{block.where}: a reading has no duration, and its ReadingType no intervalLength.",
                code="green_button_incomplete",
            )
        seconds = np.where(seconds == 0, kind.interval_seconds, seconds)
    power = kind.multiplier + _MILLI
    if abs(power) > _MOST_POWER:
        raise UnableToReadGreenButton(
            f"{block.where}: powerOfTenMultiplier {kind.multiplier} is none that a meter has.",
            code="green_button_value",
        )
    values = block.values
    if power >= 0:
        if len(values) and int(np.abs(values).max()) > (2**62) // 10**power:
            raise UnableToReadGreenButton(f"{block.where}: a value is too large.", code="green_button_value")
        values = values * 10**power
    else:
        values, remainders = np.divmod(values, 10**-power)
        if bool(remainders.any()):
            raise UnableToReadGreenButton(
                f"{block.where}: powerOfTenMultiplier {kind.multiplier} is finer than a thousandth of the unit.",
                code="green_button_value",
            )
    codes = np.where(block.qualities == units.Quality.MISSING, kind.default_quality, block.qualities)
    return delivery.Columns(block.starts, seconds, values, codes.astype(np.uint8))


def _one_by_one(resource: etree._Element, where: str) -> Block:
    following = resource.findtext(f"{ESPI}interval/{ESPI}start")
    rows: list[tuple[int, int, int, int]] = []
    for index, reading in enumerate(resource.iterfind(f"{ESPI}IntervalReading"), start=1):
        here = f"{where}/IntervalReading[{index}]"
        value = reading.findtext(f"{ESPI}value")
        if value is None:
            raise UnableToReadGreenButton(
                f"{here} has no value, line {reading.sourceline}.", code="green_button_incomplete"
            )
        start = reading.findtext(f"{ESPI}timePeriod/{ESPI}start")
        length = reading.findtext(f"{ESPI}timePeriod/{ESPI}duration")
        if start is None and (following is None or length is None):
            raise UnableToReadGreenButton(
                f"{here} has no start, line {reading.sourceline}.", code="green_button_incomplete"
            )
        starts = _whole(start or following or "", f"{here}/timePeriod/start", reading)
        seconds = 0 if length is None else _whole(length, f"{here}/timePeriod/duration", reading)
        following = str(starts + seconds)
        rows.append((starts, seconds, _whole(value, f"{here}/value", reading), _quality(reading)))
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Block(columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3].astype(np.uint8), where)


def _quality(reading: etree._Element) -> int:
    """Return the worst quality that a reading states: an estimate stays one whatever else is said."""
    stated = [
        _QUALITIES.get((found.text or "").strip(), units.Quality.MIXED)
        for found in reading.iterfind(f"{ESPI}ReadingQuality/{ESPI}quality")
    ]
    if not stated:
        return units.Quality.MISSING
    return next((code for code in stated if code is not units.Quality.VALID), units.Quality.VALID)


def _text(resource: etree._Element, name: str) -> str | None:
    text = resource.findtext(f"{ESPI}{name}")
    return None if text is None else text.strip()


def _whole(text: str, where: str, element: etree._Element) -> int:
    try:
        return int(text.strip())
    except ValueError as error:
        raise UnableToReadGreenButton(
            f"{where} is {text.strip()[:40]!r}, not a whole number, line {element.sourceline}.",
            code="green_button_value",
        ) from error
