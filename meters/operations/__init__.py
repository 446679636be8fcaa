"""Writes that other apps may ask for: readings of meters, and the telemetry of devices."""

from meters.operations.asking import ask, ask_about_read, settle
from meters.operations.signing import (
    Believed,
    Signature,
    UnableToBelieveReading,
    UnableToRegisterKey,
    check_signature,
    keep_signature,
    refuse_unsigned,
    register_reading_key,
)
from meters.operations.storing import (
    Stored,
    UnableToStoreReadings,
    locked,
    open_channel,
    store,
    store_days,
    store_whole_days,
)
from meters.operations.submetering import UnableToAttachSubmeter, attach_submeter
from meters.operations.telemetry import record_intervals

__all__ = [
    "Believed",
    "Signature",
    "Stored",
    "UnableToAttachSubmeter",
    "UnableToBelieveReading",
    "UnableToRegisterKey",
    "UnableToStoreReadings",
    "ask",
    "ask_about_read",
    "attach_submeter",
    "check_signature",
    "keep_signature",
    "locked",
    "open_channel",
    "record_intervals",
    "refuse_unsigned",
    "register_reading_key",
    "settle",
    "store",
    "store_days",
    "store_whole_days",
]
