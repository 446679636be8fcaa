"""Reads a source's CSV by its mapping, some lines at a time; says of each wrong line what is wrong with it."""

import csv
import dataclasses
import datetime
import decimal
from collections.abc import Sequence
from typing import Any

import numpy as np

from meters.domain import csv_mapping, delivery, packing, units
from openvpp.core import errors

MOST_ERRORS = 50
_FIRST_YEAR, _LAST_YEAR = 1970, 2088

type Carried = dict[str, Any]


class UnableToReadCsv(errors.Invalid):
    """Lines of the file cannot be taken; the detail and `errors` name them."""


@dataclasses.dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with a line: its number in the file from 1, a stable code, and words."""

    line: int
    code: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return it for people and programs."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A line as it was understood, for a preview. Values are thousandths of the kept unit; None where blank."""

    line: int
    point: str
    starts: int
    ends: int
    milli_units: int | None
    received_milli_units: int | None
    quality: units.Quality


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Read:
    """What some lines hold."""

    rows: list[Row]
    errors: list[LineError]
    carried: Carried


class _WrongLine(ValueError):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def read(*, text: bytes, mapping: csv_mapping.CsvMapping, carried: Carried) -> Read:
    """Return the rows of whole lines of a file, and what is wrong with the others.

    `carried` is empty for the first lines, then what the read before returned; it knows the number of the next line,
    the columns, and which of the local stamps that come twice were seen. Reading stops after `MOST_ERRORS`.
    """
    lines = text.decode("utf-8-sig" if not carried else "utf-8", errors="replace").splitlines()
    known: Carried = carried or {"line": 1, "columns": None, "seen": []}
    number = int(known["line"])
    columns: dict[str, int] | None = known["columns"]
    clock = _Clock(mapping, {(point, stamp) for point, stamp in known["seen"]})
    rows: list[Row] = []
    wrong: list[LineError] = []
    delimiter = "\t" if mapping.delimiter == "t" else mapping.delimiter
    for fields in csv.reader(lines, delimiter=delimiter):
        line, number = number, number + 1
        if line <= mapping.lines_before or not any(field.strip() for field in fields):
            continue
        try:
            if columns is None:
                columns = _find_columns(mapping, fields)
                if mapping.has_header:
                    continue
            rows.append(_take(mapping, columns, fields, line, clock))
        except _WrongLine as error:
            wrong.append(LineError(line, error.code, str(error)))
            if columns is None or len(wrong) >= MOST_ERRORS:
                break
    return Read(rows, wrong, {"line": number, "columns": columns, "seen": sorted(clock.seen)})


def refuse(wrong: Sequence[LineError]) -> None:
    """Refuse a file with wrong lines.

    :raises UnableToReadCsv: there are any.
    """
    if wrong:
        first = "; ".join(f"line {error.line}: {error.detail}" for error in wrong[:3])
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004 - the three just named
        raise UnableToReadCsv(
            f"{first[:1].upper()}{first[1:]}{more}", code="csv_lines", extra={"errors": [e.to_json() for e in wrong]}
        )


def to_delivery(*, rows: list[Row], mapping: csv_mapping.CsvMapping) -> delivery.Delivery:
    """Return rows as readings by point and flow; blank values are left out.

    :raises UnableToReadCsv: intervals of a point overlap.
    """
    parts: dict[tuple[str, units.Flow], list[tuple[int, int, int]]] = {}
    for row in rows:
        if row.milli_units is not None:
            parts.setdefault((row.point, mapping.flow), []).append((row.starts, row.milli_units, row.quality))
        if row.received_milli_units is not None:
            parts.setdefault((row.point, units.Flow.RECEIVED), []).append(
                (row.starts, row.received_milli_units, row.quality)
            )
    channels: list[delivery.ChannelReadings] = []
    warnings: list[str] = []
    for (point, flow), values in parts.items():
        table = np.array(values, dtype=np.int64)
        columns = delivery.Columns(
            starts=table[:, 0],
            seconds=np.full(len(table), mapping.interval_seconds, dtype=np.int64),
            milli_units=table[:, 1],
            qualities=table[:, 2].astype(np.uint8),
        )
        try:
            found = delivery.assemble(parts=[columns], name=f"{point or 'The file'} {flow.value}")
        except packing.Unpackable as error:
            raise UnableToReadCsv(f"{point or 'The file'}: {error}", code="csv_overlap") from error
        warnings += found.warnings
        channels.append(
            delivery.ChannelReadings(
                usage_point=point,
                key="",
                flow=flow,
                unit=mapping.stored_unit,
                series=found.series,
                conflicts=found.conflicts,
            )
        )
    return delivery.Delivery(channels=tuple(channels), warnings=tuple(warnings))


def _find_columns(mapping: csv_mapping.CsvMapping, header: list[str]) -> dict[str, int]:
    names = {name.strip().casefold(): place for place, name in enumerate(header)} if mapping.has_header else {}
    found: dict[str, int] = {}
    for column in mapping.columns:
        place = int(column[1:]) - 1 if column[:1] == "#" and column[1:].isdigit() else names.get(column.casefold())
        if place is None or not 0 <= place < len(header):
            shown = ", ".join(name.strip() for name in header[:20])
            raise _WrongLine("no_column", f"there is no column {column}; there are {shown}")
        found[column] = place
    return found


def _take(
    mapping: csv_mapping.CsvMapping,
    columns: dict[str, int],
    fields: list[str],
    line: int,
    clock: "_Clock",
) -> Row:
    def field(column: str) -> str:
        if not column:
            return ""
        try:
            return fields[columns[column]].strip()
        except IndexError as error:
            raise _WrongLine("short_line", f"the line ends before its column {column}") from error

    point = field(mapping.point_column)
    if mapping.point_column and not point:
        raise _WrongLine("no_point", "no service point is named")
    stamp = f"{field(mapping.time_column)} {field(mapping.clock_column)}".strip()
    first = clock.read(point=point, stamp=stamp)
    word = field(mapping.quality_column)
    quality = mapping.quality_words.get(word) if word else units.Quality.RAW
    if quality is None:
        raise _WrongLine("unknown_quality", f"nobody said what the quality {word[:20]!r} means")
    starts = first - mapping.interval_seconds if mapping.is_end_stamped else first
    value = _value(mapping, field(mapping.value_column))
    received = _value(mapping, field(mapping.received_column))
    return Row(line, point, starts, starts + mapping.interval_seconds, value, received, quality)


class _Clock:
    """Reads stamps, each text once; of local times that come twice it knows which points had their first."""

    def __init__(self, mapping: csv_mapping.CsvMapping, seen: set[tuple[str, str]]) -> None:
        self._mapping = mapping
        self._known: dict[str, tuple[int, int]] = {}
        self.seen = seen

    def read(self, *, point: str, stamp: str) -> int:
        found = self._known.get(stamp) or self._known.setdefault(stamp, _instants(self._mapping, stamp))
        if found[0] == found[1]:
            return found[0]
        is_second = (point, stamp) in self.seen
        self.seen.add((point, stamp))
        return found[is_second]


def _instants(mapping: csv_mapping.CsvMapping, stamp: str) -> tuple[int, int]:
    """Return the instant of a stamp, epoch seconds; of a local time that comes twice both, in order."""
    try:
        if mapping.time_format == csv_mapping.EPOCH:
            moment = datetime.datetime.fromtimestamp(int(stamp), tz=datetime.UTC)
        elif mapping.time_format == csv_mapping.ISO:
            moment = datetime.datetime.fromisoformat(stamp)
        else:
            moment = datetime.datetime.strptime(stamp, mapping.time_format)  # noqa: DTZ007 - the zone follows
    except (ValueError, OverflowError, OSError) as error:
        raise _WrongLine("wrong_time", f"the time {stamp[:40]!r} is not {mapping.time_format}") from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise _WrongLine("wrong_time", f"the year of {stamp[:40]!r} cannot be")
    if moment.tzinfo is not None:
        return int(moment.timestamp()), int(moment.timestamp())
    early, late = (moment.replace(tzinfo=mapping.zone, fold=fold) for fold in (0, 1))
    back = datetime.datetime.fromtimestamp(early.timestamp(), tz=mapping.zone).replace(tzinfo=None)
    if back != moment:
        raise _WrongLine("no_such_time", f"the clocks of {mapping.zone.key} leave out {stamp[:40]}")
    return int(early.timestamp()), int(late.timestamp())


def _value(mapping: csv_mapping.CsvMapping, text: str) -> int | None:
    if not text:
        return None
    plain = text.replace(".", "").replace(",", ".") if mapping.decimal_comma else text
    try:
        number = decimal.Decimal(plain)
        milli = round(number * mapping.milli_per_unit.numerator / mapping.milli_per_unit.denominator)
    except (decimal.InvalidOperation, ValueError, OverflowError) as error:  # the last two of NaN and infinity
        raise _WrongLine("wrong_value", f"{text[:20]!r} is no number") from error
    if abs(milli) > packing.MOST_MILLI_UNITS:
        raise _WrongLine("wrong_value", f"{text[:20]!r} is more than a meter counts")
    return milli
