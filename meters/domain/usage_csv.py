"""Intervals as comma-separated values (RFC 4180): CRLF, one header line with the units, local time with its offset."""

import datetime
import zoneinfo
from collections.abc import Iterable, Iterator

from meters.domain import units, usage

HEADER = "starts_at,ends_at,delivered_kWh,received_kWh,quality\r\n"


def write(*, parts: Iterable[usage.Consumption], zone: zoneinfo.ZoneInfo) -> Iterator[str]:
    """Yield the header, then each part's rows; energy in kWh to the millionth, exact. No value needs quoting."""
    yield HEADER
    for part in parts:
        lines = [
            f"{_local(start, zone)},{_local(start + seconds, zone)},{_kwh(delivered)},{_kwh(received)},"
            f"{_QUALITY_NAMES[code]}\r\n"
            for start, seconds, delivered, received, code in zip(
                part.starts.tolist(),
                part.seconds.tolist(),
                part.delivered_milli_wh.tolist(),
                part.received_milli_wh.tolist(),
                part.qualities.tolist(),
                strict=True,
            )
        ]
        if lines:
            yield "".join(lines)


def _local(seconds: int, zone: zoneinfo.ZoneInfo) -> str:
    return datetime.datetime.fromtimestamp(seconds, tz=zone).isoformat()


def _kwh(milli_wh: int) -> str:
    whole, rest = divmod(milli_wh, 10**6)
    return f"{whole}.{rest:06d}"


_QUALITY_NAMES = {code.value: code.name.lower() for code in units.Quality}
