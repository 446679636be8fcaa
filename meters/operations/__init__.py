"""Writes that other apps may ask for: readings of meters, and the telemetry of devices."""

from meters.operations.asking import ask, ask_about_read, settle
from meters.operations.storing import (
    Stored,
    UnableToStoreReadings,
    locked,
    open_channel,
    store,
    store_days,
    store_whole_days,
)
from meters.operations.telemetry import record_intervals

__all__ = [
    "Stored",
    "UnableToStoreReadings",
    "ask",
    "ask_about_read",
    "locked",
    "open_channel",
    "record_intervals",
    "settle",
    "store",
    "store_days",
    "store_whole_days",
]
