"""The telemetry of devices."""

import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from customers import models as customers_models
from meters import models
from meters.domain import packing, units
from meters.operations import storing
from openvpp.core import db

_MAX_TELEMETRY_INTERVALS = 100_000


@db.transaction_required
def record_intervals(
    *,
    utility_id: int,
    device_key: str,
    starts: Sequence[int] | npt.NDArray[np.int64],
    interval_seconds: int,
    energy_wh: Sequence[int] | npt.NDArray[np.int64],
    flow: units.Flow = units.Flow.NET,
    quality: units.Quality = units.Quality.RAW,
    service_point_id: int | None = None,
    now: datetime.datetime,
) -> storing.Stored:
    """Write a device's telemetry: whole Wh per interval, starts in epoch seconds, ascending.

    `device_key` names the device for ever (its UUID). Net energy is positive when taken from the grid. Sending
    the same again changes nothing.

    :raises UnableToStoreReadings: too many at once, or they overlap or contradict the grid of a day.
    """
    if not device_key or len(starts) > _MAX_TELEMETRY_INTERVALS:
        raise storing.UnableToStoreReadings(f"Send a device key and at most {_MAX_TELEMETRY_INTERVALS} intervals.")
    utility = customers_models.Utility.objects.get(pk=utility_id)
    try:
        series = packing.Series(
            interval_seconds=interval_seconds,
            starts=np.asarray(starts, dtype=np.int64),
            milli_units=np.asarray(energy_wh, dtype=np.int64) * 1000,
            qualities=np.full(len(starts), quality, dtype=np.uint8),
        )
    except packing.Unpackable as error:
        raise storing.UnableToStoreReadings(str(error)) from error
    channel = storing.open_channel(
        utility_id=utility_id,
        service_point_id=service_point_id,
        source=models.Channel.Source.DEVICE,
        key=device_key,
        flow=flow,
        unit=units.Unit.WATT_HOUR,
        time_zone=utility.time_zone,
        is_counted=True,
    )
    batch, _ = models.ImportBatch.objects.get_or_create(
        utility_id=utility_id,
        sha256=bytes(32),
        target=f"device {device_key}",
        defaults={
            "format": models.ImportBatch.Format.TELEMETRY,
            "imported_at": now,
            "intervals": 0,
            "days_added": 0,
            "days_changed": 0,
            "days_unchanged": 0,
        },
    )
    done = storing.Stored()
    for locked, kept in storing.locked([(channel, series)]):
        done += storing.store_days(batch=batch, channel=locked, series=(kept,), now=now)
    return done
