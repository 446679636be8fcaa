"""The simulated cloud: devices, commands, and the messages it owes for them."""

import collections
import dataclasses
import datetime
import decimal
import hashlib
import json
import pathlib
import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from ders.domain import simulation, telemetry

# How many intervals go into one telemetry message.
CHUNK = 96
AT_ONCE = datetime.datetime.min.replace(tzinfo=datetime.UTC)


@dataclasses.dataclass(slots=True)
class Command:
    """A command as the provider took it; `told_until` is how far its telemetry has been sent."""

    command_id: str
    device_id: str
    power_w: int
    starts_at: datetime.datetime
    ends_at: datetime.datetime
    told_until: datetime.datetime


@dataclasses.dataclass(slots=True)
class Message:
    """A webhook to send until it is taken."""

    slug: str
    body: bytes
    attempts: int = 0
    not_before: datetime.datetime = AT_ONCE


class UnknownDeviceError(Exception):
    """Nobody registered this device."""


class Cloud:
    """Everything the provider knows, kept in a file. Safe to call from several threads.

    After a restart it owes every message of every command again; event ids say that they are the same ones.
    """

    def __init__(self, *, file: pathlib.Path | None = None) -> None:
        self._lock = threading.RLock()
        self._file = file
        self._devices: dict[tuple[str, str], simulation.Device] = {}
        self._commands: dict[tuple[str, str], Command] = {}
        self.outbox: collections.deque[Message] = collections.deque()
        self._calls: dict[str, list[Any]] = {}
        if file is not None and file.exists():
            takes = {"devices": self.register, "commands": self.command}
            for path, slug, body in json.loads(file.read_text()):
                takes[path](slug=slug, body=body)

    def register(self, *, slug: str, body: dict[str, Any]) -> dict[str, Any]:
        """Take a device over; doing it twice changes nothing."""
        power_kw = decimal.Decimal(body["power_kw"])
        device = simulation.Device(
            device_id=str(body["device_id"]),
            kind=str(body["kind"]),
            power_w=int(power_kw * 1000),
            time_zone=str(body["time_zone"]),
        )
        with self._lock:
            self._devices[slug, device.device_id] = device
            self._keep(path="devices", slug=slug, name=device.device_id, body=body)
        return {name: body[name] for name in ("device_id", "kind", "power_kw", "energy_kwh")}

    def command(self, *, slug: str, body: dict[str, Any]) -> None:
        """Take a command, once by its id, and owe the acknowledgement if the device gives one.

        :raises UnknownDeviceError: the device is not registered.
        """
        command = Command(
            command_id=str(uuid.UUID(body["command_id"])),
            device_id=str(body["device_id"]),
            power_w=int(decimal.Decimal(body["power_kw"]) * 1000),
            starts_at=_instant(body["starts_at"]),
            ends_at=_instant(body["ends_at"]),
            told_until=_instant(body["starts_at"]),
        )
        with self._lock:
            device = self._device(slug, command.device_id)
            if (slug, command.command_id) in self._commands:
                return
            self._commands[slug, command.command_id] = command
            self._keep(path="commands", slug=slug, name=command.command_id, body=body)
            if device.acknowledges:
                self._owe(
                    slug=slug,
                    event_id=f"ack-{command.command_id}",
                    fields={"kind": "command.acknowledged", "command_id": command.command_id},
                )

    def report_window(self, *, slug: str, body: dict[str, Any]) -> None:
        """Owe what each device measured on a window, commands and all, whole and again.

        :raises UnknownDeviceError: one of the devices is not registered.
        """
        starts_at, ends_at = _instant(body["starts_at"]), _instant(body["ends_at"])
        with self._lock:
            for device_id in body["device_ids"]:
                intervals = list(self._measured(slug, str(device_id), starts_at, ends_at))
                self._owe_telemetry(slug=slug, device_id=str(device_id), intervals=intervals)

    def tick(self, *, now: datetime.datetime) -> None:
        """Owe the telemetry of every command's intervals that have ended by `now`."""
        with self._lock:
            for (slug, _), command in self._commands.items():
                until = min(now, command.ends_at)
                intervals = list(self._measured(slug, command.device_id, command.told_until, until))
                if intervals:
                    self._owe_telemetry(slug=slug, device_id=command.device_id, intervals=intervals)
                    command.told_until = intervals[-1].ends_at

    def _measured(
        self, slug: str, device_id: str, starts_at: datetime.datetime, ends_at: datetime.datetime
    ) -> Iterator[telemetry.Interval]:
        device = self._device(slug, device_id)
        instant = starts_at
        while instant + simulation.INTERVAL <= ends_at:
            following = instant + simulation.INTERVAL
            reduction_w = sum(
                command.power_w
                for (of_slug, _), command in self._commands.items()
                if (of_slug, command.device_id) == (slug, device_id) and command.starts_at <= instant < command.ends_at
            )
            yield from simulation.commanded_intervals(
                device=device, starts_at=instant, ends_at=following, reduction_w=reduction_w
            )
            instant = following

    def _owe_telemetry(self, *, slug: str, device_id: str, intervals: Sequence[telemetry.Interval]) -> None:
        for first in range(0, len(intervals), CHUNK):
            rows = [
                {
                    "starts_at": interval.starts_at.isoformat(),
                    "seconds": interval.seconds,
                    "delivered_wh": interval.delivered_wh,
                    "received_wh": interval.received_wh,
                }
                for interval in intervals[first : first + CHUNK]
            ]
            content = json.dumps([device_id, rows]).encode()
            self._owe(
                slug=slug,
                event_id=f"telemetry-{hashlib.sha256(content).hexdigest()[:40]}",
                fields={"kind": "telemetry", "device_id": device_id, "intervals": rows},
            )

    def _owe(self, *, slug: str, event_id: str, fields: dict[str, Any]) -> None:
        self.outbox.append(Message(slug=slug, body=json.dumps({"event_id": event_id, **fields}).encode()))

    def _keep(self, *, path: str, slug: str, name: str, body: dict[str, Any]) -> None:
        self._calls[f"{path} {slug} {name}"] = [path, slug, body]
        if self._file is not None:
            temporary = self._file.with_suffix(".new")
            temporary.write_text(json.dumps(list(self._calls.values())))
            temporary.replace(self._file)

    def _device(self, slug: str, device_id: str) -> simulation.Device:
        try:
            return self._devices[slug, device_id]
        except KeyError:
            raise UnknownDeviceError(device_id) from None


def _instant(text: str) -> datetime.datetime:
    instant = datetime.datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text} has no offset.")
    return instant.astimezone(datetime.UTC)
