"""Readings of many points, stored as a head-end's days are."""

import datetime
import zoneinfo
from collections.abc import Sequence

import numpy as np

from customers import models as customer_models
from meters import models
from meters.domain import packing, units

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def batch(utility: customer_models.Utility) -> models.ImportBatch:
    """Return a delivery that days may have come in."""
    made: models.ImportBatch = models.ImportBatch.objects.create(
        utility=utility,
        format="push",
        sha256=np.random.default_rng().bytes(32),
        target="tests",
        imported_at=NOW,
        intervals=0,
        days_added=0,
        days_changed=0,
        days_unchanged=0,
    )
    return made


def store(
    *,
    agreement: customer_models.ServiceAgreement,
    first: datetime.date,
    after: datetime.date,
    milli_wh: Sequence[int] | np.typing.NDArray[np.int64],
    flow: units.Flow = units.Flow.DELIVERED,
    interval_seconds: int = 900,
    missing: Sequence[int] = (),
    unit: units.Unit = units.Unit.WATT_HOUR,
    estimated: Sequence[int] = (),
) -> models.Channel:
    """Store intervals from local midnight of `first` to that of `after`; places of `missing` have no value.

    Those of `estimated` were filled in from the readings around them.
    """
    utility = agreement.account.utility
    zone = zoneinfo.ZoneInfo(utility.time_zone)
    starts = np.arange(
        packing.midnight(day=first, zone=zone), packing.midnight(day=after, zone=zone), interval_seconds, dtype=np.int64
    )
    kept = np.setdiff1d(np.arange(len(starts)), missing)
    qualities = np.full(len(starts), units.Quality.VALID, dtype=np.uint8)
    qualities[list(estimated)] = units.Quality.INTERPOLATED
    channel, _ = models.Channel.objects.get_or_create(
        utility=utility,
        service_point=agreement.service_point,
        source="meter",
        key="",
        flow=flow.value,
        unit=unit.value,
        defaults={"time_zone": utility.time_zone},
    )
    days = packing.pack(
        series=packing.Series(
            interval_seconds=interval_seconds,
            starts=starts[kept],
            milli_units=np.resize(np.asarray(milli_wh, dtype=np.int64), len(starts))[kept],
            qualities=qualities[kept],
        ),
        zone=zone,
    )
    delivery = batch(utility)
    models.MeterDay.copy_in(
        rows=[
            models.MeterDay.of(day=day, channel=channel, account_id=agreement.account_id, batch=delivery)
            for day in days
        ]
    )
    return channel
