"""Reads NEM12 (interval) and NEM13 (accumulated) files of the Australian market, plain or in a zip.

AEMO, Meter Data File Format Specification NEM12 & NEM13 v2.x. Market time is UTC+10 all year.
"""

import dataclasses
import datetime
import io
import zipfile

import numpy as np
import numpy.typing as npt

from meters.domain import delivery, packing, units
from openvpp.core import errors

MAX_BYTES = 512 * 2**20
_MARKET_ZONE = datetime.timezone(datetime.timedelta(hours=10))
_MARKET_OFFSET_SECONDS = 10 * 3600
_WORTH_COMPILING = 200_000
_DAY_RECORD, _CHANNEL_RECORD, _END_RECORD = 300, 200, 900
_PASSED_RECORDS = frozenset({100, 500, _END_RECORD})
_DAY_MINUTES = 24 * 60
_SECONDS_PER_MINUTE = 60
_MILLI_PER_UNIT = {
    "KWH": (units.Unit.WATT_HOUR, 10**6),
    "WH": (units.Unit.WATT_HOUR, 10**3),
    "MWH": (units.Unit.WATT_HOUR, 10**9),
    "KVARH": (units.Unit.VOLT_AMPERE_REACTIVE_HOUR, 10**6),
    "VARH": (units.Unit.VOLT_AMPERE_REACTIVE_HOUR, 10**3),
    "KVAH": (units.Unit.VOLT_AMPERE_HOUR, 10**6),
    "VAH": (units.Unit.VOLT_AMPERE_HOUR, 10**3),
}
# First letter of an NMI suffix, master registers: E and Q to the customer, B and K from them.
_FLOWS = {"E": units.Flow.DELIVERED, "Q": units.Flow.DELIVERED, "B": units.Flow.RECEIVED, "K": units.Flow.RECEIVED}
_QUALITIES = {
    "A": units.Quality.VALID,
    "E": units.Quality.ESTIMATED,
    "F": units.Quality.EDITED,
    "S": units.Quality.ESTIMATED,
    "N": units.Quality.MISSING,
    "V": units.Quality.MIXED,
}


class UnableToReadNem(errors.Invalid):
    """The file is no NEM12 or NEM13 file that can be taken; the detail names the record and the line."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Run:
    """Days that follow each other in the file: midnights (epoch seconds), values and qualities [days, intervals]."""

    midnights: packing.Int64s
    milli_units: packing.Int64s
    is_there: npt.NDArray[np.bool_]
    qualities: packing.Bytes


@dataclasses.dataclass(slots=True)
class _Channel:
    """What a 200 record opens: the days that follow it."""

    point: str
    suffix: str
    unit: units.Unit | None
    uom: str
    milli: int
    minutes: int
    days: list[int] = dataclasses.field(default_factory=list)
    values: list[str] = dataclasses.field(default_factory=list)
    qualities: list[int] = dataclasses.field(default_factory=list)
    patches: list[tuple[int, int, int, int]] = dataclasses.field(default_factory=list)
    runs: list[_Run] = dataclasses.field(default_factory=list)


def read(*, content: bytes, max_bytes: int = MAX_BYTES, first_line: int = 1) -> delivery.Delivery:
    """Return the electricity readings of a NEM12 or NEM13 file, or of a zip with one such file.

    `first_line` is the number of the 100 record, where the content is a later part of a file.

    :raises UnableToReadNem: malformed, truncated or too large; the detail names the record and the line.
    """
    text = _unzip(content, max_bytes)
    if (
        len(text) >= _WORTH_COMPILING
        and text[:9].upper() == b"100,NEM12"
        and (quick := _read_quickly(text)) is not None
    ):
        return quick
    lines = text.decode("utf-8-sig", errors="replace").splitlines()
    header = lines[0].split(",") if lines else [""]
    kind = header[1].strip().upper() if header[0].strip() == "100" and len(header) > 1 else ""
    try:
        if kind == "NEM12":
            return _read_intervals(lines, first_line)
        if kind == "NEM13":
            return _read_registers(lines)
    except packing.Unpackable as error:
        is_value = isinstance(error, packing.OutOfRange)
        raise UnableToReadNem(str(error), code="nem_value" if is_value else "nem_overlap") from error
    raise UnableToReadNem("Line 1 is no 100 record of NEM12 or NEM13.", code="nem_header")


def _read_intervals(lines: list[str], first_line: int) -> delivery.Delivery:
    channels: list[_Channel] = []
    warnings: list[str] = []
    is_ended = False
    for number, line in enumerate(lines[1:], start=first_line + 1):
        record = line[:4]
        if is_ended and line.strip(", \t\x1a"):
            raise UnableToReadNem(f"Line {number} stands after the 900 record.", code="nem_malformed")
        if record == "300,":
            if not channels:
                raise _malformed(number, "a 300 record before any 200 record")
            _take_day(channels[-1], line, number)
        elif record == "200,":
            channels.append(_open_channel(line.split(","), number))
        elif record == "400,":
            _take_quality(channels, line.split(","), number)
        elif line.startswith("900"):
            is_ended = True
        elif not line.startswith(("500", "550")) and line.strip(", \t\x1a"):
            raise _malformed(number, f"a record {line.split(',')[0][:10]!r}, which NEM12 has not")
    if not is_ended:
        warnings.append("The file has no 900 record: it may have been cut at the end of a line.")
    return delivery.Delivery(channels=tuple(_assemble(channels, warnings)), warnings=tuple(warnings))


def _read_quickly(text: bytes) -> delivery.Delivery | None:
    """Read a large file as compiled code can, or return None where a record needs a closer look."""
    from meters.adapters import nem_days  # noqa: PLC0415 - loads the compiler, which small files do not need

    buffer = np.frombuffer(text, dtype=np.uint8)
    most = text.count(b"\n") + 1
    starts, records = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    count = nem_days.find_lines(buffer, starts, records)
    starts, records = starts[:count], records[:count]
    others = np.flatnonzero(records != _DAY_RECORD)
    channels: list[_Channel] = []
    codes = np.full(256, 255, dtype=np.uint8)
    for letter, quality in _QUALITIES.items():
        codes[ord(letter)] = quality
    for place, line in enumerate(others.tolist()):
        record = int(records[line])
        if record == _CHANNEL_RECORD:
            channels.append(_open_channel(_line(text, int(starts[line])).split(","), line + 1))
        elif record not in _PASSED_RECORDS:
            return None
        following = int(others[place + 1]) if place + 1 < len(others) else count
        if following == line + 1:
            continue
        if not channels or record == _END_RECORD:
            return None
        run = _read_run(buffer, starts[line + 1 : following], channels[-1], codes)
        if run is None:
            return None
        channels[-1].runs.append(run)
    if not count or int(records[-1]) != _END_RECORD:
        return None
    warnings: list[str] = []
    return delivery.Delivery(channels=tuple(_assemble(channels, warnings)), warnings=tuple(warnings))


def _read_run(buffer: packing.Bytes, starts: packing.Int64s, channel: _Channel, codes: packing.Bytes) -> _Run | None:
    from meters.adapters import nem_days  # noqa: PLC0415 - see `_read_quickly`

    shape = (len(starts), _DAY_MINUTES // channel.minutes)
    values, days = np.empty(shape, dtype=np.int64), np.empty(len(starts), dtype=np.int64)
    qualities = np.empty(len(starts), dtype=np.uint8)
    if not nem_days.read_days(buffer, starts, len(str(channel.milli)) - 1, codes, values, days, qualities):
        return None
    return _Run(
        midnights=days * (_DAY_MINUTES * _SECONDS_PER_MINUTE) - _MARKET_OFFSET_SECONDS,
        milli_units=values,
        is_there=(values != nem_days.MISSING) & (qualities != units.Quality.MISSING)[:, None],
        qualities=np.broadcast_to(qualities[:, None], shape),
    )


def _line(text: bytes, start: int) -> str:
    end = text.find(b"\n", start)
    return text[start : end if end >= 0 else None].decode("utf-8", errors="replace").strip("\r")


def _open_channel(fields: list[str], number: int) -> _Channel:
    try:
        uom = fields[7].strip().upper()
        minutes = int(fields[8])
    except (IndexError, ValueError) as error:
        raise _malformed(number, "a 200 record without unit and interval length") from error
    if minutes <= 0 or _DAY_MINUTES % minutes:
        raise _malformed(number, f"an interval of {minutes} minutes, which makes no day")
    unit, milli = _MILLI_PER_UNIT.get(uom, (None, 1))
    return _Channel(fields[1].strip(), fields[4].strip() or fields[3].strip(), unit, uom, milli, minutes)


def _take_day(channel: _Channel, line: str, number: int) -> None:
    count = _DAY_MINUTES // channel.minutes
    fields = line.split(",", count + 3)
    if len(fields) < count + 3:
        raise UnableToReadNem(
            f"Line {number}: a 300 record with {len(fields) - 2} of {count} values and no quality.",
            code="nem_truncated",
        )
    day = fields[1]
    try:
        date = datetime.date(int(day[:4]), int(day[4:6]), int(day[6:8]))
    except ValueError as error:
        raise _malformed(number, f"the date {day[:10]!r}") from error
    method = fields[count + 2].strip()
    code = _QUALITIES.get(method[:1])
    if code is None:
        raise _malformed(number, f"the quality {method[:10]!r}")
    channel.days.append(int(datetime.datetime.combine(date, datetime.time(), _MARKET_ZONE).timestamp()))
    text = ",".join(fields[2 : count + 2])
    if "n" in text.lower():  # nan and inf, which are numbers to numpy
        raise UnableToReadNem(f"Line {number}: a value is no number.", code="nem_value")
    if ",," in text or text.startswith(",") or text.endswith(","):
        text = ",".join(value if value.strip() else "nan" for value in fields[2 : count + 2])
    channel.values.append(text)
    channel.qualities.append(code)


def _take_quality(channels: list[_Channel], fields: list[str], number: int) -> None:
    if not channels or not channels[-1].days:
        raise _malformed(number, "a 400 record before any 300 record")
    try:
        first, last = int(fields[1]), int(fields[2])
        code = _QUALITIES[fields[3].strip()[:1]]
    except (IndexError, ValueError, KeyError) as error:
        raise _malformed(number, "a 400 record without interval numbers and quality") from error
    channel = channels[-1]
    if not 1 <= first <= last <= _DAY_MINUTES // channel.minutes:
        raise _malformed(number, f"the intervals {first} to {last}")
    channel.patches.append((len(channel.days) - 1, first - 1, last, code))


def _assemble(channels: list[_Channel], warnings: list[str]) -> list[delivery.ChannelReadings]:
    parts: dict[tuple[str, str, units.Unit], list[delivery.Columns]] = {}
    for channel in channels:
        if channel.unit is None:
            warnings.append(f"{channel.point} {channel.suffix} is left out: its unit is {channel.uom}.")
            continue
        found_parts = [_columns(channel)] if channel.days else []
        found_parts += [_run_columns(channel, run) for run in channel.runs]
        if found_parts:
            parts.setdefault((channel.point, channel.suffix, channel.unit), []).extend(found_parts)
    found: list[delivery.ChannelReadings] = []
    for (point, suffix, unit), columns in parts.items():
        assembled = delivery.assemble(parts=columns, name=f"{point} {suffix}")
        warnings += assembled.warnings
        found.append(
            delivery.ChannelReadings(
                usage_point=point,
                key=suffix,
                flow=_FLOWS.get(suffix[:1].upper(), units.Flow.DELIVERED),
                unit=unit,
                series=assembled.series,
                periods=assembled.periods,
                is_counted=suffix[:1].upper() in _FLOWS,
                conflicts=assembled.conflicts,
            )
        )
    return found


def _columns(channel: _Channel) -> delivery.Columns:
    count = _DAY_MINUTES // channel.minutes
    try:
        values = np.fromstring(",".join(channel.values), dtype=np.float64, sep=",")
    except ValueError as error:
        raise UnableToReadNem(f"{channel.point} {channel.suffix}: a value is no number.", code="nem_value") from error
    if len(values) != count * len(channel.days):
        raise UnableToReadNem(f"{channel.point} {channel.suffix}: a value is no number.", code="nem_value")
    codes = np.repeat(np.array(channel.qualities, dtype=np.uint8), count)
    for day, first, last, code in channel.patches:
        codes[day * count + first : day * count + last] = code
    values *= channel.milli
    if bool((np.abs(values) > packing.MOST_MILLI_UNITS).any()):
        raise UnableToReadNem(
            f"{channel.point} {channel.suffix}: a value is more than a meter counts.", code="nem_value"
        )
    seconds = channel.minutes * _SECONDS_PER_MINUTE
    starts = np.repeat(np.array(channel.days, dtype=np.int64), count) + np.tile(
        seconds * np.arange(count, dtype=np.int64), len(channel.days)
    )
    is_there = ~np.isnan(values) & (codes != units.Quality.MISSING)
    if not bool(is_there.all()):
        starts, values, codes = starts[is_there], values[is_there], codes[is_there]
    return delivery.Columns(
        starts=starts,
        seconds=np.full(len(starts), seconds, dtype=np.int64),
        milli_units=np.rint(values).astype(np.int64),
        qualities=codes,
    )


def _run_columns(channel: _Channel, run: _Run) -> delivery.Columns:
    seconds = channel.minutes * _SECONDS_PER_MINUTE
    starts = run.midnights[:, None] + seconds * np.arange(run.milli_units.shape[1], dtype=np.int64)
    return delivery.Columns(
        starts=starts[run.is_there],
        seconds=np.full(int(run.is_there.sum()), seconds, dtype=np.int64),
        milli_units=run.milli_units[run.is_there],
        qualities=run.qualities[run.is_there],
    )


def _read_registers(lines: list[str]) -> delivery.Delivery:
    parts: dict[tuple[str, str, units.Flow, units.Unit], list[delivery.PeriodValue]] = {}
    warnings: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        fields = [field.strip() for field in line.split(",")]
        if fields[0] != "250":
            if fields[0] not in {"550", "900", ""}:
                raise _malformed(number, f"a record {fields[0][:10]!r}, which NEM13 has not")
            continue
        try:
            unit, milli = _MILLI_PER_UNIT[fields[19].upper()]
            value = delivery.PeriodValue(
                starts=_instant(fields[9]),
                ends=_instant(fields[14]),
                milli_units=round(float(fields[18]) * milli),
                quality=_QUALITIES[fields[15][:1]],
            )
        except (IndexError, ValueError, KeyError, OverflowError) as error:  # the last of an endless quantity
            raise _malformed(number, "a 250 record without possible dates, quantity, quality or unit") from error
        if value.ends <= value.starts:
            raise _malformed(number, "a read that is not after the one before it")
        flow = units.Flow.RECEIVED if fields[7].upper() == "I" else units.Flow.DELIVERED
        parts.setdefault((fields[1], fields[4], flow, unit), []).append(value)
    return delivery.Delivery(
        channels=tuple(
            delivery.ChannelReadings(
                usage_point=point, key=suffix, flow=flow, unit=unit, series=(), periods=tuple(values)
            )
            for (point, suffix, flow, unit), values in parts.items()
        ),
        warnings=tuple(warnings),
    )


def _instant(text: str) -> int:
    return int(datetime.datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=_MARKET_ZONE).timestamp())


def _unzip(content: bytes, most: int) -> bytes:
    if not content.startswith(b"PK"):
        if len(content) > most:
            raise UnableToReadNem(f"The file is larger than {most} bytes.", code="nem_too_large")
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise UnableToReadNem(f"The zip holds {len(members)} files, not one.", code="nem_malformed")
            with archive.open(members[0]) as file:
                text = file.read(most + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UnableToReadNem(f"The zip cannot be read: {error}.", code="nem_malformed") from error
    if len(text) > most:
        raise UnableToReadNem(f"The file is larger than {most} bytes.", code="nem_too_large")
    return text


def _malformed(number: int, what: str) -> UnableToReadNem:
    return UnableToReadNem(f"Line {number} has {what}.", code="nem_malformed")
