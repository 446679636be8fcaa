"""A provider's HTTP API: register a device, send it a command, ask for what it measured.

Every request is signed (ders.domain.signature). The answers are hints; what counts comes by signed webhook.
"""

import dataclasses
import datetime
import decimal
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ders import models
from ders.adapters import secrets
from ders.domain import signature
from openvpp.core import errors, http


@dataclasses.dataclass(frozen=True, slots=True)
class Capability:
    """What the provider says a device is and can do."""

    kind: str
    power_kw: decimal.Decimal
    energy_kwh: decimal.Decimal | None


class Client:
    """One provider's API.

    :raises errors.Unreachable: it did not answer; send the same again.
    :raises errors.Refused: it answered no.
    """

    def __init__(self, *, provider: models.Provider) -> None:
        self._secret = secrets.derive(
            slug=provider.slug, version=provider.secret_version, direction=secrets.Direction.TO_PROVIDER
        )
        self._http = http.Client(base_url=provider.base_url)

    def register_device(self, *, device: models.Device, time_zone: str, now: datetime.datetime) -> Capability:
        """Make a device known and return its capability, which is the provider's word over the customer's."""
        answer = self._post(
            path="devices",
            body={
                "device_id": device.provider_device_id,
                "kind": device.kind,
                "power_kw": str(device.power_kw),
                "energy_kwh": None if device.energy_kwh is None else str(device.energy_kwh),
                "time_zone": time_zone,
            },
            now=now,
        )
        try:
            energy = answer["energy_kwh"]
            return Capability(
                kind=models.Device.Kind(answer["kind"]).value,
                power_kw=decimal.Decimal(answer["power_kw"]),
                energy_kwh=None if energy is None else decimal.Decimal(energy),
            )
        except (KeyError, TypeError, ValueError, decimal.InvalidOperation) as error:
            raise errors.Refused("The provider's answer does not say what the device can do.") from error

    def send_command(
        self,
        *,
        command_id: uuid.UUID,
        device_id: str,
        power_kw: decimal.Decimal,
        starts_at: datetime.datetime,
        ends_at: datetime.datetime,
        now: datetime.datetime,
    ) -> None:
        """Hand over a command; the same `command_id` sent twice is one command."""
        self._post(
            path="commands",
            body={
                "command_id": str(command_id),
                "device_id": device_id,
                "power_kw": str(power_kw),
                "starts_at": starts_at.isoformat(),
                "ends_at": ends_at.isoformat(),
            },
            now=now,
        )

    def request_telemetry(
        self,
        *,
        device_ids: Sequence[str],
        starts_at: datetime.datetime,
        ends_at: datetime.datetime,
        now: datetime.datetime,
    ) -> None:
        """Ask for what devices measured on `[starts_at, ends_at)`; it comes by webhook."""
        self._post(
            path="telemetry",
            body={
                "device_ids": list(device_ids),
                "starts_at": starts_at.isoformat(),
                "ends_at": ends_at.isoformat(),
            },
            now=now,
        )

    def _post(self, *, path: str, body: Mapping[str, object], now: datetime.datetime) -> dict[str, Any]:
        content = json.dumps(body).encode()
        answer = self._http.post(
            path=path,
            content=content,
            headers={
                "Content-Type": "application/json",
                signature.HEADER: signature.sign(secret=self._secret, body=content, now=now),
            },
        )
        return answer if isinstance(answer, dict) else {}
