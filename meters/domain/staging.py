"""A delivery as bytes, to be set aside until the rest of its file is read."""

import json
import zlib
from typing import Any

import numpy as np

from meters.domain import delivery, packing, units


def encode(*, delivered: delivery.Delivery) -> bytes:
    """Return a delivery as bytes that `decode` reads."""
    arrays: list[bytes] = []
    channels: list[dict[str, Any]] = []
    for channel in delivered.channels:
        for series in channel.series:
            arrays += [series.starts.tobytes(), series.milli_units.tobytes(), series.qualities.tobytes()]
        channels.append(
            {
                "usage_point": channel.usage_point,
                "key": channel.key,
                "flow": channel.flow.value,
                "unit": channel.unit.value,
                "is_counted": channel.is_counted,
                "series": [[series.interval_seconds, len(series)] for series in channel.series],
                "periods": [[p.starts, p.ends, p.milli_units, int(p.quality)] for p in channel.periods],
                "conflicts": channel.conflicts,
            }
        )
    head = json.dumps(
        {"channels": channels, "warnings": delivered.warnings, "offset": delivered.standard_offset_seconds}
    ).encode()
    return zlib.compress(len(head).to_bytes(4, "big") + head + b"".join(arrays), 1)


def decode(*, content: bytes) -> delivery.Delivery:
    """Return the delivery that `encode` made bytes of."""
    raw = zlib.decompress(content)
    at = 4 + int.from_bytes(raw[:4], "big")
    head = json.loads(raw[4:at])
    channels: list[delivery.ChannelReadings] = []
    for channel in head["channels"]:
        series: list[packing.Series] = []
        for seconds, length in channel["series"]:
            starts = np.frombuffer(raw, dtype=np.int64, count=length, offset=at)
            values = np.frombuffer(raw, dtype=np.int64, count=length, offset=at + 8 * length)
            codes = np.frombuffer(raw, dtype=np.uint8, count=length, offset=at + 16 * length)
            at += 17 * length
            series.append(packing.Series(seconds, starts, values, codes))
        channels.append(
            delivery.ChannelReadings(
                usage_point=channel["usage_point"],
                key=channel["key"],
                flow=units.Flow(channel["flow"]),
                unit=units.Unit(channel["unit"]),
                series=tuple(series),
                periods=tuple(
                    delivery.PeriodValue(starts, ends, value, units.Quality(code))
                    for starts, ends, value, code in channel["periods"]
                ),
                is_counted=channel["is_counted"],
                conflicts=tuple((starts, ends) for starts, ends in channel["conflicts"]),
            )
        )
    return delivery.Delivery(
        channels=tuple(channels), warnings=tuple(head["warnings"]), standard_offset_seconds=head["offset"]
    )
