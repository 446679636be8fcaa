"""A model of what batteries, chargers and thermostats use, and of how they answer a command.

Deterministic: the same device has the same day whoever asks, so that history that was seeded and telemetry that a
simulated provider sends are of one piece. Whole watt-hours, no floats. It knows nothing of baselines or payouts.
"""

import dataclasses
import datetime
import hashlib
import zoneinfo
from collections.abc import Iterator

from ders.domain import telemetry

INTERVAL_SECONDS = 900
INTERVAL = datetime.timedelta(seconds=INTERVAL_SECONDS)
HOUR_SECONDS = 3600
STANDBY_WH = 4
# A device whose id starts so never answers a command and goes on as usual.
MUTE_PREFIX = "mute-"
# A device whose id starts so acknowledges a command and goes on as usual all the same; a battery is switched off.
IDLE_PREFIX = "idle-"

# Permille of rated power by local hour, on an average day.
_THERMOSTAT = (380,) * 6 + (520, 560, 500, 480, 500, 560, 640, 720, 780, 840, 900, 960, 980, 940, 820, 680, 540, 440)
_CHARGER = (120, 60) + (0,) * 15 + (450, 900, 960, 900, 780, 540, 300)
_BATTERY = (0, 300, 340, 320) + (0,) * 3 + (-140, -120) + (0,) * 15


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """A device as its maker knows it. Power is in W, so that all sums are whole."""

    device_id: str
    kind: str
    power_w: int
    time_zone: str

    @property
    def acknowledges(self) -> bool:
        """Say whether it answers commands."""
        return not self.device_id.startswith(MUTE_PREFIX)

    @property
    def responds(self) -> bool:
        """Say whether it does what a command asks."""
        return self.acknowledges and not self.device_id.startswith(IDLE_PREFIX)


def usual_intervals(
    *, device: Device, starts_at: datetime.datetime, ends_at: datetime.datetime
) -> Iterator[telemetry.Interval]:
    """Yield the whole intervals of `[starts_at, ends_at)` as the device runs by itself."""
    return _intervals(device=device, starts_at=starts_at, ends_at=ends_at, reduction_w=0)


def commanded_intervals(
    *, device: Device, starts_at: datetime.datetime, ends_at: datetime.datetime, reduction_w: int
) -> Iterator[telemetry.Interval]:
    """Yield the intervals of a command's window: 94 to 100 % of what was asked, as far as there is load to shed."""
    return _intervals(
        device=device, starts_at=starts_at, ends_at=ends_at, reduction_w=reduction_w if device.responds else 0
    )


def _intervals(
    *, device: Device, starts_at: datetime.datetime, ends_at: datetime.datetime, reduction_w: int
) -> Iterator[telemetry.Interval]:
    instant = starts_at
    while instant + INTERVAL <= ends_at:
        net_wh = _usual_wh(device=device, starts_at=instant)
        if reduction_w:
            net_wh -= _answer_wh(device=device, starts_at=instant, reduction_w=reduction_w, usual_wh=net_wh)
        yield telemetry.from_net(starts_at=instant, seconds=INTERVAL_SECONDS, net_wh=net_wh)
        instant += INTERVAL


def _usual_wh(*, device: Device, starts_at: datetime.datetime) -> int:
    local = starts_at.astimezone(zoneinfo.ZoneInfo(device.time_zone))
    curve = {"battery": _BATTERY, "charger": _CHARGER, "thermostat": _THERMOSTAT}[device.kind]
    permille = curve[local.hour]
    if permille == 0 or (device.kind == "battery" and not device.responds):
        return STANDBY_WH
    day = 880 + _draw(device, f"day {local.date()}") % 241
    quarter = 950 + _draw(device, f"interval {starts_at.astimezone(datetime.UTC).isoformat()}") % 101
    return STANDBY_WH + device.power_w * INTERVAL_SECONDS * permille * day * quarter // (HOUR_SECONDS * 10**9)


def _answer_wh(*, device: Device, starts_at: datetime.datetime, reduction_w: int, usual_wh: int) -> int:
    achieved = 940 + _draw(device, f"answer {starts_at.astimezone(datetime.UTC).isoformat()}") % 61
    asked_wh = reduction_w * INTERVAL_SECONDS * achieved // (HOUR_SECONDS * 1000)
    return asked_wh if device.kind == "battery" else min(asked_wh, usual_wh)


def _draw(device: Device, what: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{device.device_id} {what}".encode(), digest_size=8).digest())
